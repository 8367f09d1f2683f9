"""Point-in-time features of users and items, and the labels that came after them."""

from promoloop.features.days import DAYPARTS, FORMS, add_item_facts
from promoloop.features.items import per_item
from promoloop.features.outcomes import add_window, per_user_form_outcome, per_user_next_interest, per_user_outcome
from promoloop.features.tastes import interest
from promoloop.features.users import DEMOGRAPHICS, WINDOWS, per_user

__all__ = [
    "DAYPARTS",
    "DEMOGRAPHICS",
    "FORMS",
    "WINDOWS",
    "add_item_facts",
    "add_window",
    "interest",
    "per_item",
    "per_user",
    "per_user_form_outcome",
    "per_user_next_interest",
    "per_user_outcome",
]
