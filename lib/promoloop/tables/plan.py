"""Tables of the plan: allocations, their certificate, the ledger of offers, evaluations."""

from promoloop.tables.behaviour import MONEY
from promoloop.tables.shop import OFFER_COLUMNS
from promoloop.tables.table import Column, Table, required

ALLOCATIONS = Table(
    name="allocations",
    grain="one user given a promotion by a plan",
    columns=(
        required("run_id", "string", "Plan"),
        required("user_id", "string", "User"),
        required("promotion_id", "string", "Promotion given"),
        required("as_of_on", "date", "Day planned for"),
        required("value", "double", "Value in the objective, money or weighted"),
        required("cost", "double", "Expected concession, money"),
        required("reduced_value", "double", "Value less the shadow prices of all it uses"),
        Column("runner_up_id", "string", "Second-best choice; null: no offer"),
        required("margin", "double", "Reduced value over the runner-up's"),
        required("reason", "string", "Why this promotion, in the marketer's words"),
    ),
    key=("run_id", "user_id", "promotion_id"),
    writing="replace run",
    written_by="allocate_promotions",
    clustering=("run_id",),
)

DURATIONS = ("seconds_per_pass",)  # columns that are never the same twice

ALLOCATION_RESOURCES = Table(
    name="allocation_resources",
    grain="one resource of a plan; the row `plan` is the certificate of the whole",
    columns=(
        required("run_id", "string", "Plan"),
        required("resource", "string", "budget, budget:PROMOTION, inventory:PROMOTION, ... or plan"),
        Column("capacity", "double", "How much there is"),
        Column("used", "double", "How much the plan uses"),
        Column("shadow_price", "double", "Value of one more unit"),
        Column("sentence", "string", "What that means to the marketer"),
        Column("objective", "double", "Row plan: value of the integer plan"),
        Column("bound", "double", "Row plan: no plan can be worth more"),
        Column("gap", "double", "Row plan: (bound - objective) / bound"),
        Column("count_passes", "int", "Row plan: full pricing passes"),
        Column("seconds_per_pass", "double", "Row plan: mean duration of a pass"),
        Column("kinds", "array<string>", "Row plan: what of a user a cell's name is made of, as segment/region"),
        Column("quantity", "string", "cost (expected concession) or count (offers)"),
        Column("is_floor", "boolean", "At least the capacity, instead of at most"),
        Column("by_promotion", "map<string,double>", "What one unit for a promotion uses; 0 where it is missing"),
        Column("by_cell", "map<string,double>", "Factor of that by kind of user; null: 1 for all"),
    ),
    key=("run_id", "resource"),
    writing="replace run",
    written_by="allocate_promotions",
    clustering=("run_id",),
)

CAMPAIGN_DESIGNS = Table(
    name="campaign_designs",
    grain="one promotion of one design on the front of profit against satisfaction; design 0: the promotions as they are",
    columns=(
        required("run_id", "string", "Plan of the day designed for"),
        required("design", "int", "1 is the most profitable of the front, the last the most satisfying; 0: the promotions as they are"),
        required("is_chosen", "boolean", "Whether this is the design that was solved in full (design_resources)"),
        required("design_profit", "double", "Expected incremental profit of the whole design, judged on a sample, money"),
        required("design_satisfaction", "double", "Expected redemptions, each by the user's taste for its scope, of the whole design"),
        required("promotion_id", "string", "Promotion"),
        required("is_run", "boolean", "Whether the design runs it; its terms are null where not"),
        required("form", "string", "Its form"),
        Column("threshold", MONEY, "In-scope spend from which it applies; null: any"),
        Column("discount_rate", "double", "Share conceded"),
        Column("discount_amount", MONEY, "Money conceded once per order"),
        Column("gift_unit_cost", MONEY, "What one gift costs"),
        Column("starts_at", "timestamp", "First moment it can be redeemed, UTC"),
        Column("ends_at", "timestamp", "Moment from which it can no longer be redeemed, UTC"),
        Column("budget", MONEY, "Most to concede on it; null: only the total budget"),
        Column("inventory", "bigint", "Most offers that may be issued on it"),
        required("expected_offers", "double", "Offers the allocation would make, judged on a sample"),
        required("expected_cost", "double", "What they would concede, money"),
        required("expected_profit", "double", "What they would earn beyond what is earned anyway, concessions taken off, money"),
    ),
    key=("run_id", "design", "promotion_id"),
    writing="replace run",
    written_by="design_campaigns",
    clustering=("run_id",),
)

DESIGN_RESOURCES = Table(
    name="design_resources",
    grain="one resource of the chosen design's full solution; the row `plan` is its certificate",
    columns=ALLOCATION_RESOURCES.columns,
    key=("run_id", "resource"),
    writing="replace run",
    written_by="design_campaigns",
    clustering=("run_id",),
)

OFFERS = Table(
    name="offers",
    grain="one offer of a plan: issued, or withheld as a control",
    columns=OFFER_COLUMNS,
    key=("offer_id",),
    writing="replace run",
    written_by="issue_offers",
)

EVALUATIONS = Table(
    name="evaluations",
    grain="one metric of a plan or past campaign, by scope and method",
    columns=(
        required("run_id", "string", "Plan or past campaign evaluated"),
        required("metric", "string", "incremental_profit, incremental_revenue, redemption_rate, spend, ...: docs/offers.md"),
        required("scope", "string", "all, promotion:ID, form:NAME, segment:NAME, top:PERCENT (by expected value) or policy:NAME"),
        required("method", "string", "difference, cuped, doubly_robust, ips, snips, observed, expected, observational, truth or refused"),
        required("value", "double", "Estimate, in the metric's unit"),
        Column("low", "double", "Lower end of the 95 % interval"),
        Column("high", "double", "Upper end of the 95 % interval"),
        Column("count_treated", "bigint", "Users treated"),
        Column("count_control", "bigint", "Users in control"),
        required("is_causal", "boolean", "False where assignment was not randomised: an association, never an effect"),
        Column("note", "string", "What to keep in mind"),
    ),
    key=("run_id", "metric", "scope", "method"),
    writing="replace run",
    written_by="evaluate_promotions",
)
