"""What the response models see of a pair: about thirty numbers of order one, named, as Column expressions over offers/context.py."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from promoloop.offers import context, forms

_AGES = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
_INCOMES = ("low", "lower_middle", "middle", "upper_middle", "high")
_USUAL_PER_DAY = {
    "f_days": ("count_days", 0.2),
    "f_views": ("count_views", 1.5),
    "f_carts": ("count_carts", 0.05),
    "f_orders": ("count_orders", 0.01),
    "f_redeemed": ("count_redeemed", 0.002),
}
USER_FEATURES = (
    *("f_recency", "f_order_recency", "f_days", "f_views", "f_carts", "f_orders", "f_spend", "f_messages", "f_redeemed", "f_known"),
    *("f_age", "f_income", "f_female", "f_male"),
)
PAIR_FEATURES = ("f_share", "f_lift", "f_log_share", "f_breadth", "f_price", "f_length", "f_threshold", "f_stretch")
FORM_FEATURES = tuple(f"{kind}_{form}" for form in forms.FORMS for kind in ("f_is", "f_depth"))
FEATURES = ("f_one", *USER_FEATURES, *PAIR_FEATURES, *FORM_FEATURES)


def add_features(pairs: DataFrame, users: DataFrame) -> DataFrame:
    """`pairs` of `context.per_pair` (with the norms) and the FEATURES, `order_value` (money a redeeming order may hold) and `depth`.

    `users` is the table of users: age, gender and income as they are now.
    """
    people = users.select("user_id", "age_band", "gender", "income_band")
    known = pairs.join(people, "user_id", "left").transform(_add_order_value)
    return known.withColumns(_user_features()).withColumns(_pair_features()).drop("age_band", "gender", "income_band")


def _add_order_value(pairs: DataFrame) -> DataFrame:
    """Before any redemption was seen: the user's usual order, raised to the threshold; and how deep the promotion cuts into it."""
    usual = context.typical_order(F.col("norm_order"))
    value = F.greatest(usual, F.coalesce(F.col("threshold").cast("double"), F.lit(0.0)))
    depth = F.least(forms.concession(value) / value, F.lit(1.0))
    return pairs.withColumns({"usual_order": usual, "order_value": value}).withColumn("depth", depth)


def _user_features() -> dict[str, Column]:
    """Counts are rates over the days the log covers, two weeks of the average user added: a young log must not look like idle users."""
    rate: dict[str, Column] = {}
    for name, (count, usual) in _USUAL_PER_DAY.items():
        counted = F.greatest(F.col(count).cast("double"), F.lit(0.0))
        rate[name] = F.log1p(60 * (counted + 14 * usual) / (F.col("known_days") + 14))
    never = F.log(F.lit(62.0))
    return {
        "f_one": F.lit(1.0),
        "f_recency": F.when(F.col("count_days") > 0, F.log1p("days_since_visit")).otherwise(never) - 1,
        "f_order_recency": F.when(F.col("count_orders") > 0, F.log1p("days_since_order")).otherwise(never) - 3,
        **rate,
        "f_messages": F.log1p("count_messages"),
        "f_spend": F.log1p(60 * F.greatest("past_spend", F.lit(0.0)) / (F.col("known_days") + 14) / F.col("norm_order")),
        "f_known": F.log(F.col("known_days") / 60),
        "f_age": _rank_of(F.col("age_band"), _AGES),
        "f_income": _rank_of(F.col("income_band"), _INCOMES),
        "f_female": F.coalesce((F.col("gender") == "female").cast("double"), F.lit(0.0)),
        "f_male": F.coalesce((F.col("gender") == "male").cast("double"), F.lit(0.0)),
    }


def _pair_features() -> dict[str, Column]:
    threshold = F.coalesce(F.col("threshold").cast("double"), F.lit(0.0))
    days = (F.unix_timestamp("valid_until_at") - F.unix_timestamp("valid_from_at")) / 86400
    by_form: dict[str, Column] = {}
    for form in forms.FORMS:
        is_form = (F.col("form") == form).cast("double")
        by_form |= {f"f_is_{form}": is_form, f"f_depth_{form}": is_form * (F.col("depth") - 0.15) * 5}
    return {
        "f_share": F.col("scope_share"),
        "f_lift": F.log((F.col("scope_share") + 0.02) / (F.col("breadth") + 0.02)),
        "f_log_share": F.log(F.col("scope_share") + 0.02) + 2,
        "f_breadth": F.log(F.col("breadth") + 0.02) + 2,
        "f_price": F.log((F.col("scope_price") + 0.01) / F.col("norm_order")),
        "f_length": F.log(F.greatest(days, F.lit(0.1))) - 2,
        "f_threshold": F.log1p(threshold / F.col("norm_order")),
        "f_stretch": F.log(F.greatest(threshold, F.col("usual_order")) / F.col("usual_order")),
        **by_form,
    }


def _rank_of(label: Column, ordered: tuple[str, ...]) -> Column:
    """Position of a label among `ordered`, from -0.5 to 0.5; 0 where it is none of them."""
    rank = F.lit(0.0)
    for position, name in enumerate(ordered):
        rank = F.when(label == name, position / (len(ordered) - 1) - 0.5).otherwise(rank)
    return rank
