"""The embedded shop's truth. Only the simulator and the evaluation of the embedded shop may read these."""

from promoloop.tables.table import Table, required

TRUTH_USERS = Table(
    name="truth_users",
    grain="one simulated user and as_of date: latent traits, state, and true expectations without any offer",
    columns=(
        required("user_id", "string", "Keyed pseudonym"),
        required("as_of_on", "date", "Day at whose beginning the state holds; expectations are over the next shop.continue_days days"),
        required("since_order_days", "double", "State: days since the last order"),
        required("message_load", "double", "State: messages received, each forgotten with time"),
        required("category_affinity", "map<string,double>", "Log weight of each category"),
        required("brand_affinity", "map<string,double>", "Log weight of each brand"),
        required("price_elasticity", "double", "Log weight lost per unit of log relative price"),
        required("proneness", "map<string,double>", "Proneness to each promotion form, 1 is usual"),
        required("sessions_per_day", "double", "Mean browsing sessions a day"),
        required("order_rate", "double", "Orders per session when ready to buy"),
        required("patience_days", "double", "Patience between orders, days"),
        required("weekday_rhythm", "array<double>", "Weight of each weekday, Monday first, mean 1"),
        required("peak_hours", "array<double>", "Hours (UTC) of the two daily peaks of visits"),
        required("repeat_share", "double", "Share of order lines taken from the user's staples"),
        required("notice_probability", "double", "Chance that a first message is noticed"),
        required("message_tolerance", "double", "Message load borne without fatigue"),
        required("irritation", "double", "Log intensity lost per message beyond it"),
        required("switching", "double", "Most of other demand an offer can divert, share"),
        required("buy_probability", "double", "True probability of at least one order"),
        required("expected_orders", "double", "True expected number of orders"),
        required("expected_margin", "double", "True expected margin, money"),
        required("next_brand", "string", "Most probable brand of the next order line"),
        required("next_brand_probability", "double", "True probability of it"),
        required("next_category", "string", "Most probable category of the next order line"),
        required("next_category_probability", "double", "True probability of it"),
    ),
    key=("user_id", "as_of_on"),
    writing="replace day",
    written_by="simulate_shop",
    clustering=("as_of_on",),
)

TRUTH_OFFERS = Table(
    name="truth_offers",
    grain="one (user, promotion) and as_of date with its true expectations",
    columns=(
        required("user_id", "string", "Keyed pseudonym"),
        required("promotion_id", "string", "Promotion"),
        required("as_of_on", "date", "First day the offer would be valid; expectations are over shop.continue_days days from it"),
        required("p_redeem", "double", "True probability of redemption if issued"),
        required("expected_cost", "double", "True expected concession, money"),
        required("expected_profit", "double", "True expected incremental profit, concession taken off, money"),
        required("expected_orders", "double", "True expected incremental orders"),
    ),
    key=("user_id", "promotion_id", "as_of_on"),
    writing="replace day",
    written_by="simulate_shop",
    clustering=("as_of_on",),
)
