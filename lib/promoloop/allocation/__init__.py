"""Who gets which promotion (docs/allocation.md): values of offers, limits of the shop, an integer plan with a certificate.

maximise sum v[u,p] x[u,p]  subject to  sum_p x[u,p] <= 1,  sum a[k,u,p] x[u,p] <= b[k],  x in {0, 1}
"""

from promoloop.allocation.blocks import BlockScan
from promoloop.allocation.effort import Effort
from promoloop.allocation.limits import problem_of
from promoloop.allocation.methods import allocate
from promoloop.allocation.reasons import add_reasons
from promoloop.allocation.scheme import Certificate, Solution, solve
from promoloop.allocation.telling import describe
from promoloop.allocation.values import Offered, add_cells, offered, valued

__all__ = [
    "BlockScan",
    "Certificate",
    "Effort",
    "Offered",
    "Solution",
    "add_cells",
    "add_reasons",
    "allocate",
    "describe",
    "offered",
    "problem_of",
    "solve",
    "valued",
]
