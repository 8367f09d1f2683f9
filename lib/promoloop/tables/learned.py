"""Tables of what is learned: features, profiles, recommendations, offer scores."""

from promoloop.tables.table import Column, Table, required

_AS_OF = required("as_of_on", "date", "Only what happened before this day was used")

_WINDOWS = (7, 30, 90)
_LAST = ("visit", "cart", "order", "redeem", "offer_view")
_DAYPARTS = ("night", "morning", "afternoon", "evening")
_FORMS = ("spend_threshold", "discount", "gift", "flash_sale")
_TASTES = "array<struct<name:string,interest:double,views:bigint,carts:bigint,units:bigint,days_since:int>>"

USER_FEATURES = Table(
    name="user_features",
    grain="one user and as_of date; only the past of that date, features.lookback_days of it at most",
    columns=(
        required("user_id", "string", "User"),
        _AS_OF,
        *(Column(name, "string", f"{name} of the user") for name in ("age_band", "gender", "region", "occupation", "income_band")),
        Column("tenure_days", "int", "Days since joining; null: unknown"),
        required("observed_days", "int", "Days of the log in which the user could have been seen"),
        *(required(f"count_views_{days}d", "bigint", f"Items viewed, last {days} days") for days in _WINDOWS),
        *(required(f"count_carts_{days}d", "bigint", f"Items put in the cart, last {days} days") for days in _WINDOWS),
        *(required(f"count_orders_{days}d", "bigint", f"Orders, last {days} days") for days in _WINDOWS),
        *(required(f"count_visits_{days}d", "bigint", f"Sessions, last {days} days") for days in _WINDOWS),
        *(required(f"spend_{days}d", "double", f"Spend at list prices less returns, last {days} days, money") for days in _WINDOWS),
        required("count_active_days_30d", "bigint", "Days with any behaviour, last 30 days"),
        required("count_units", "bigint", "Units bought"),
        required("count_offer_views", "bigint", "Offers seen"),
        required("count_redeems", "bigint", "Offers redeemed"),
        *(required(f"count_redeems_{form}", "bigint", f"Offers of form {form} redeemed") for form in _FORMS),
        *(required(f"count_offer_views_{form}", "bigint", f"Offers of form {form} seen") for form in _FORMS),
        required("count_reviews", "bigint", "Reviews written"),
        Column("mean_rating", "double", "Mean stars given, 1 to 5"),
        *(Column(f"days_since_{what}", "int", f"Days since the last {what}") for what in _LAST),
        Column("days_since_first_event", "int", "Days since the first event"),
        Column("days_between_orders", "double", "Mean days between days with an order"),
        Column("days_between_orders_deviation", "double", "Standard deviation of them"),
        Column("days_between_visits", "double", "Mean days between days with a visit"),
        Column("mean_basket_value", "double", "Spend per order, money"),
        Column("mean_basket_units", "double", "Units per order"),
        Column("orders_per_visit", "double", "Orders per session"),
        Column("carts_per_view", "double", "Cart additions per view"),
        Column("orders_per_cart", "double", "Orders per cart addition"),
        Column("returned_share", "double", "Units returned per unit bought"),
        Column("relative_price_viewed", "double", "Mean log of viewed items' price over their category's median price"),
        Column("relative_price_variance", "double", "Variance of that log among viewed items"),
        Column("relative_price_bought", "double", "Mean of that log among bought items"),
        required("count_bought_priced", "bigint", "Purchases that mean is of"),
        Column("promoted_order_share", "double", "Share of orders with an offer redeemed, 0 to 1"),
        Column("conceded_share", "double", "Concession per money spent, 0 to 1"),
        Column("redeem_rate", "double", "Offers redeemed per offer seen, 0 to 1"),
        *(Column(f"{part}_share", "double", f"Share of behaviour in the {part}, UTC") for part in _DAYPARTS),
        Column("weekend_share", "double", "Share of sessions on Saturday or Sunday, UTC"),
        *(
            column
            for one, many in (("category", "categories"), ("brand", "brands"))
            for column in (
                required(f"count_{many}", "bigint", f"{many.capitalize()} touched"),
                Column(f"top_{one}", "string", f"{one.capitalize()} of the most interest"),
                Column(f"top_{one}_share", "double", "Its interest, 0 to 1"),
                Column(f"{one}_entropy", "double", "Spread of interest over them, nats"),
                required(many, _TASTES, f"{many.capitalize()} of most interest, best first: share of engagement, counts, days since last"),
            )
        ),
    ),
    key=("user_id", "as_of_on"),
    writing="replace day",
    written_by="build_features",
    clustering=("as_of_on",),
)

ITEM_FEATURES = Table(
    name="item_features",
    grain="one item and as_of date; only the past of that date",
    columns=(
        required("item_id", "string", "Item"),
        _AS_OF,
        Column("category", "string", "Category"),
        Column("brand", "string", "Brand"),
        Column("price", "double", "List price of one unit, money"),
        Column("price_position", "double", "Log of the price over the category's median price"),
        Column("margin_rate", "double", "Margin per unit over its price"),
        *(
            required(f"count_{what}_{days}d", "bigint", f"{what.capitalize()}, last {days} days")
            for what in ("views", "carts", "purchases", "units")
            for days in _WINDOWS
        ),
        required("revenue_90d", "double", "Revenue at list prices less returns, last 90 days, money"),
        Column("conversion_90d", "double", "Purchases per view, last 90 days"),
        required("popularity", "double", "Rank by views in the category, last 90 days: 0 (least) to 1 (most)"),
        required("count_reviews", "bigint", "Reviews"),
        Column("mean_rating", "double", "Mean stars, 1 to 5"),
        Column("days_since_purchase", "int", "Days since the last purchase"),
        Column("days_since_first_event", "int", "Days since the first event"),
    ),
    key=("item_id", "as_of_on"),
    writing="replace day",
    written_by="build_features",
    clustering=("as_of_on",),
)

USER_PROFILES = Table(
    name="user_profiles",
    grain="one user and as_of date",
    columns=(
        required("user_id", "string", "User"),
        _AS_OF,
        Column("preferred_brand", "string", "Brand the user is most likely to buy next"),
        Column("preferred_brand_probability", "double", "Probability of it"),
        Column("preferred_category", "string", "Category expected to have the most of the user's interest within the horizon"),
        Column("category_interest", "map<string,double>", "Share of the user's engagement expected by category, 0 to 1; null: none known"),
        Column("buy_probability", "double", "Probability of buying within the horizon, without an offer"),
        Column("price_sensitivity", "double", "0 (none) to 1 (only buys cheap or promoted)"),
        Column("preferred_form", "string", "Promotion form the user is most likely to redeem once seen; null: no evidence"),
        Column("form_affinity", "map<string,double>", "Probability of redeeming an offer of each form, once seen"),
        required("segment", "string", "Marketing segment"),
        required("model_versions", "map<string,string>", "Model name to version"),
    ),
    key=("user_id", "as_of_on"),
    writing="replace day",
    written_by="score_profiles",
    clustering=("as_of_on",),
)

ITEM_RECOMMENDATIONS = Table(
    name="item_recommendations",
    grain="one user, rank and as_of date",
    columns=(
        required("user_id", "string", "User"),
        required("rank", "int", "1 is best"),
        _AS_OF,
        required("item_id", "string", "Item"),
        required("score", "double", "Blended score, higher is better"),
        required("parts", "map<string,double>", "Part scores by candidate source"),
        required("reason", "string", "Why, in words a user understands"),
    ),
    key=("user_id", "rank", "as_of_on"),
    writing="replace day",
    written_by="recommend_items",
    clustering=("as_of_on",),
)

PROMOTION_RECOMMENDATIONS = Table(
    name="promotion_recommendations",
    grain="one user, rank and as_of date; empty for a day on which all open promotions are few enough to be valued for everybody",
    columns=(
        required("user_id", "string", "User"),
        required("rank", "int", "1 is best"),
        _AS_OF,
        required("promotion_id", "string", "Promotion worth valuing for the user"),
        required("interest", "double", "Share of what the user would take next that is in scope, times what is given back of it: 0 to 1"),
    ),
    key=("user_id", "rank", "as_of_on"),
    writing="replace day",
    written_by="recommend_items",
    clustering=("as_of_on",),
)

OFFER_SCORES = Table(
    name="offer_scores",
    grain="one eligible (user, promotion) and as_of date",
    columns=(
        required("user_id", "string", "User"),
        required("promotion_id", "string", "Promotion"),
        _AS_OF,
        required("p_redeem", "double", "Probability that the offer is redeemed, if issued"),
        required("expected_cost", "double", "Expected concession if issued, money"),
        required("expected_profit", "double", "Expected incremental profit if issued, concession already taken off, money"),
        required("expected_revenue", "double", "Expected incremental revenue if issued, money"),
        required("satisfaction", "double", "Expected satisfaction with the offer, 0 to 1"),
        required("profit_deviation", "double", "Standard error of expected_profit, money"),
        required("segment", "string", "Segment of the user"),
        Column("region", "string", "Region of the user"),
        Column("channel", "string", "Channel the offer would go by"),
    ),
    key=("user_id", "promotion_id", "as_of_on"),
    writing="replace day",
    written_by="score_offers",
    clustering=("as_of_on",),
)
