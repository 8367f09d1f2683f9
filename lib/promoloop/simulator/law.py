"""Every parameter of the embedded shop's law, with its unit. The formulas are in docs/simulator.md."""

from dataclasses import dataclass

GENDERS = ("female", "male", "other")
REGIONS = ("north", "coast", "capital", "valley", "hills", "south", "lakes", "isles")
OCCUPATIONS = ("student", "clerical", "technical", "manager", "trade", "care", "self_employed", "retired")
CHANNELS = ("push", "sms", "email")
VISITS = ("web", "app")
CATEGORIES = (
    "coffee",
    "snacks",
    "care",
    "cleaning",
    "wine",
    "baby",
    "pets",
    "garden",
    "kitchen",
    "sports",
    "audio",
    "fashion",
)
FORMS = ("spend_threshold", "discount", "gift", "flash_sale")
EVENT_TYPES = ("view", "cart", "purchase", "review", "offer_view", "offer_redeem")
VIEW, CART, PURCHASE, REVIEW, OFFER_VIEW, OFFER_REDEEM = range(6)


@dataclass(frozen=True)
class Law:
    """Parameters of behaviour. Money is in the shop's currency, time in days unless the name says otherwise."""

    block_users: int = 500  # users drawn together; rows do not depend on it
    # catalogue
    brands: int = 20  # each category is served by six of them
    zipf_exponent: float = 0.95  # popularity of the item of rank k is k ** -zipf_exponent
    price_sigma: float = 0.55  # log standard deviation of prices around their category's level
    margin_mean: float = 0.30  # mean of 1 - unit_cost / price
    margin_range: float = 0.12  # half width of its uniform law
    out_of_stock_share: float = 0.03  # share of items nobody can buy
    # visits
    sessions_per_day: float = 0.285  # mean browsing sessions of a user and day
    activity_shape: float = 0.9  # gamma shape: visits are negative binomial over users
    views_per_session: float = 5.0  # mean views after the first (geometric)
    views_most: int = 50  # most views of a session
    serious_share: float = 0.2  # views that follow the purchase law rather than the browsing law
    cart_share: float = 0.088  # serious views that end in an abandoned cart
    browsing_taste: float = 0.5  # weight of affinities when browsing, of 1 when buying
    # orders
    order_rate: float = 0.029  # orders per session of a user who is ready to buy
    order_sigma: float = 0.35  # log standard deviation of it over users
    patience_days: float = 14.0  # median patience between orders
    patience_sigma: float = 0.35  # log standard deviation of it over users
    lines_mean: float = 0.55  # mean lines of an order beyond the first (Poisson)
    lines_most: int = 5  # most lines of an order
    candidates: int = 24  # baskets a user considers in a season; each order is one of them
    staples: int = 4  # items a user buys again and again
    # offers
    response_most: float = 2.6  # log intensity an offer of boundless depth adds for a user of proneness 1
    strength_most: float = 1.25  # most times that, whatever proneness and elasticity
    depth_half: float = 0.10  # relative depth (benefit / spend) at which half of it is reached
    focus: float = 1.4  # a promotion of some items only says more of them
    urgency: float = 1.2  # flash sales draw this much more per depth
    gift_appeal: float = 1.7  # a gift looks this many times its unit cost
    burden: float = 2.5  # log intensity lost per unit of extra outlay / spend when topping up to a threshold
    topup_most: int = 6  # units a user adds at most to reach a threshold
    notice_mean: float = 0.75  # logit centre of the chance that a message is noticed
    notice_decay: float = 0.12  # noticing falls by exp(-notice_decay * message load)
    load_days: float = 14.0  # messages are forgotten with this time constant
    tolerance: float = 1.7  # median message load a user bears
    irritation: float = 0.22  # median log intensity lost per message beyond it
    # reviews
    review_share: float = 0.25  # median chance of a review per order line
    review_hours: float = 96.0  # latest a review follows its purchase
    # past campaigns
    campaigns_least: int = 4  # past campaigns in the history, at least
    treated_share: float = 0.35  # of consenting users, per campaign
    explored_share: float = 0.05  # of consenting users, per campaign; sent like a treatment
    # dirt: extra records per clean record of a kind that can carry it
    duplicate_share: float = 0.005  # of all records
    null_user_share: float = 0.002  # of all records
    wrong_type_share: float = 0.002  # of all records
    unknown_item_share: float = 0.002  # of records with an item
    negative_price_share: float = 0.004  # of records with a price
    future_time_share: float = 0.001  # of all records
    late_share: float = 0.03  # of the records of the last two days
    bot_share: float = 0.0005  # bots per user, at least one
    bot_views: int = 400  # most views of a bot in a batch, one a second
    bot_views_least: int = 100  # fewest
    bot_views_per_user: float = 0.33  # between the two: a small shop is not flooded


LAW = Law()
