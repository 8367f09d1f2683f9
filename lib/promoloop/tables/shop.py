"""Tables of the shop's entities as they are now: users, items, promotions, and offers made before us."""

from promoloop.tables.behaviour import MONEY
from promoloop.tables.table import Column, Table, required

USERS = Table(
    name="users",
    grain="one user, current; no direct identifier",
    columns=(
        required("user_id", "string", "Keyed pseudonym"),
        Column("age_band", "string", "18-24, 25-34, 35-44, 45-54, 55-64 or 65+"),
        Column("gender", "string", "female, male or other"),
        Column("region", "string", "Region"),
        Column("occupation", "string", "Occupation"),
        Column("income_band", "string", "low, lower_middle, middle, upper_middle or high"),
        Column("joined_on", "date", "Day of joining"),
        required("channels", "array<string>", "Channels the user can be reached by, preferred first: push, sms, email"),
        required("has_consent", "boolean", "Whether the user agreed to receive promotions"),
    ),
    key=("user_id",),
    writing="merge",
    written_by="ingest_events",
)

ITEMS = Table(
    name="items",
    grain="one item, current",
    columns=(
        required("item_id", "string", "Item"),
        Column("category", "string", "Category"),
        Column("brand", "string", "Brand"),
        Column("price", MONEY, "List price of one unit"),
        Column("unit_cost", MONEY, "What one unit costs the shop"),
        Column("stock", "bigint", "Units on hand; null where the source does not say"),
        Column("text", "string", "Title and description"),
    ),
    key=("item_id",),
    writing="merge",
    written_by="ingest_events",
)

PROMOTIONS = Table(
    name="promotions",
    grain="one promotion, current; which parameters its form needs is stated in offers/forms.py",
    columns=(
        required("promotion_id", "string", "Promotion"),
        Column("name", "string", "What users read"),
        required("form", "string", "spend_threshold, discount, gift or flash_sale"),
        Column("scope_category", "string", "Only items of this category; null: all"),
        Column("scope_brand", "string", "Only items of this brand; null: all"),
        Column("scope_item_ids", "array<string>", "Only these items; null: all"),
        Column("threshold", MONEY, "In-scope spend of one order from which the promotion applies; null: any"),
        Column("discount_rate", "double", "Share of in-scope spend conceded (discount, flash_sale), in (0, 1)"),
        Column("discount_amount", MONEY, "Money conceded once per order (spend_threshold)"),
        Column("gift_item_id", "string", "Item given (gift)"),
        Column("gift_unit_cost", MONEY, "What one gift costs the shop (gift)"),
        required("starts_at", "timestamp", "First moment it can be redeemed, UTC"),
        required("ends_at", "timestamp", "Moment from which it can no longer be redeemed, UTC"),
        Column("budget", MONEY, "Most the shop will concede on it; null: only the total budget"),
        Column("inventory", "bigint", "Most offers that may be issued on it (gifts, flash stock); null: no limit"),
        Column("target_segment", "string", "Only users of this segment; null: all"),
    ),
    key=("promotion_id",),
    writing="merge",
    written_by="ingest_events",
)

OFFER_COLUMNS = (
    required("offer_id", "string", "Offer"),
    required("run_id", "string", "Plan or past campaign it belongs to"),
    required("user_id", "string", "User"),
    Column("promotion_id", "string", "Promotion assigned; on a control: the one withheld; null: explored 'no offer'"),
    required("arm", "string", "treatment, control or explore"),
    required("is_sent", "boolean", "Whether the user receives it: never on a control"),
    Column("propensity", "double", "Probability with which this user got this arm and promotion, in (0, 1]; null: unknown, not randomised"),
    Column("channel", "string", "Channel it goes by"),
    Column("code", "string", "Redemption code; null where not sent"),
    required("valid_from_at", "timestamp", "First moment it can be redeemed, UTC"),
    required("valid_until_at", "timestamp", "Moment from which it can no longer be redeemed, UTC"),
    required("issued_at", "timestamp", "When it was issued, UTC"),
    Column("expected_value", "double", "Expected incremental profit at issue, money"),
    Column("expected_cost", "double", "Expected concession at issue, money"),
)

PAST_OFFERS = Table(
    name="past_offers",
    grain="one offer made by another system before this one, as its export says",
    columns=OFFER_COLUMNS,
    key=("offer_id",),
    writing="merge",
    written_by="ingest_events",
)
