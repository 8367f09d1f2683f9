"""Campaign design (docs/design.md): which promotions to run, how deep, from what threshold, for how long, on what budget.

candidates p, each with the variants of offers/variants.py       decide   variant of p, or not to run it; its budget
maximise   (profit, satisfaction) of the plan the allocation would make of them, on a sample, at dual prices
"""

from promoloop.allocation.design.breeding import bred
from promoloop.allocation.design.choosing import chosen
from promoloop.allocation.design.designs import Design, Front, promotions_of, told
from promoloop.allocation.design.ground import Ground, Judged, ground_of
from promoloop.allocation.design.preparing import prepared
from promoloop.allocation.design.sampled import Sampled, collected
from promoloop.allocation.design.solving import Solved, figures, solved

__all__ = [
    "Design",
    "Front",
    "Ground",
    "Judged",
    "Sampled",
    "Solved",
    "bred",
    "chosen",
    "collected",
    "figures",
    "ground_of",
    "prepared",
    "promotions_of",
    "solved",
    "told",
]
