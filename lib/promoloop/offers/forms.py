"""The four promotion forms and their rules, as Column expressions over the promotions table's columns.

For one order with in-scope spend s (money, list prices, only items of the promotion's scope, inside its window):

    form             applies when                 concession (money the shop gives up)
    spend_threshold  s >= threshold               discount_amount, once per order
    discount         s > 0 and s >= threshold     discount_rate * s
    flash_sale       s > 0                        discount_rate * s; one inventory unit per offer issued
    gift             s > 0 and s >= threshold     gift_unit_cost; one inventory unit per offer issued

A null threshold is 0. An offer is redeemed by one order, once.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F

from promoloop.settings.plan import Form

FORMS: tuple[Form, ...] = ("spend_threshold", "discount", "gift", "flash_sale")


def in_scope(category: Column, brand: Column, item_id: Column) -> Column:
    """Whether an item is in the promotion's scope (columns scope_category, scope_brand, scope_item_ids)."""
    return (
        (F.col("scope_category").isNull() | (F.col("scope_category") == category))
        & (F.col("scope_brand").isNull() | (F.col("scope_brand") == brand))
        & (F.col("scope_item_ids").isNull() | F.array_contains("scope_item_ids", item_id))
    )


def applies(spend: Column) -> Column:
    """Whether an order with in-scope `spend` (money) earns the promotion."""
    return (spend > 0) & (spend >= F.coalesce(F.col("threshold").cast("double"), F.lit(0.0)))


def concession(spend: Column) -> Column:
    """Money the shop gives up on an order with in-scope `spend` (money), as double; 0 where it does not apply."""
    form = F.col("form")
    granted = (
        F.when(form == "spend_threshold", F.col("discount_amount").cast("double"))
        .when(form == "gift", F.col("gift_unit_cost").cast("double"))
        .otherwise(F.col("discount_rate") * spend)
    )
    return F.when(applies(spend), granted).otherwise(F.lit(0.0))


def faults() -> Column:
    """Array of what is wrong with a promotion row, empty where it is sound. Each names the column at fault."""
    form, threshold = F.col("form"), F.coalesce(F.col("threshold").cast("double"), F.lit(0.0))
    is_rated = form.isin("discount", "flash_sale")
    rules = {
        "form: not one of " + ", ".join(FORMS): ~form.isin(*FORMS),
        "ends_at: ends before it starts": F.col("ends_at") <= F.col("starts_at"),
        "discount_rate: must be in (0, 1)": is_rated
        & ~F.coalesce((F.col("discount_rate") > 0) & (F.col("discount_rate") < 1), F.lit(False)),
        "discount_amount: missing": (form == "spend_threshold") & F.col("discount_amount").isNull(),
        "discount_amount: costs more than it can earn (not under the threshold)": (form == "spend_threshold")
        & (F.col("discount_amount").cast("double") >= threshold),
        "discount_amount: not positive": (form == "spend_threshold") & (F.col("discount_amount") <= 0),
        "gift_unit_cost: negative": (form == "gift") & (F.col("gift_unit_cost") < 0),
        "gift_unit_cost: missing": (form == "gift") & F.col("gift_unit_cost").isNull(),
        "gift_unit_cost: costs more than it can earn (not under the threshold)": (form == "gift")
        & (threshold > 0)
        & (F.col("gift_unit_cost").cast("double") >= threshold),
        "budget: negative": F.col("budget") < 0,
        "inventory: negative": F.col("inventory") < 0,
        "threshold: negative": threshold < 0,
    }
    named = [F.when(F.coalesce(broken, F.lit(False)), F.lit(name)) for name, broken in rules.items()]
    return F.array_compact(F.array(*named))
