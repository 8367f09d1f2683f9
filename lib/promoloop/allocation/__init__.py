"""Who gets which promotion (docs/allocation.md): values of offers, limits of the shop, an integer plan with a certificate.

maximise sum v[u,p] x[u,p]  subject to  sum_p x[u,p] <= m,  sum a[k,u,p] x[u,p] <= b[k],  x in {0, 1}
"""

from promoloop.allocation.blocks import BlockScan
from promoloop.allocation.cadence import applied, days_looked_back, most_of, recent, recent_of, windows
from promoloop.allocation.effort import Effort
from promoloop.allocation.left import left_of
from promoloop.allocation.planning import Plan, blocks_folder, clear, plan
from promoloop.allocation.scheme import Certificate, Solution, solve

__all__ = [
    "BlockScan",
    "Certificate",
    "Effort",
    "Plan",
    "Solution",
    "applied",
    "blocks_folder",
    "clear",
    "days_looked_back",
    "left_of",
    "most_of",
    "plan",
    "recent",
    "recent_of",
    "solve",
    "windows",
]
