"""Who explores and who is withheld: draws hashed from (user, run), so that every job that asks gets the same answer.

A draw depends on nothing but the user, the run and what it is for: not on partitioning, order or other users. Arms are
therefore known before, during and after allocation without a table of their own, and their probability is exact:

    arm        who                                            probability
    holdout    a share of all users, the same in every run    share (no decision is made about them)
    explore    a share of the others, before allocation       share
    control    a share of the users the plan gives an offer   share (of the planned), independent of explore
"""

from pyspark.sql import Column
from pyspark.sql import functions as F


def draw(purpose: str, run_id: str, *keys: Column) -> Column:
    """A number uniform on [0, 1), hashed from `keys` (ids) for this run and purpose; independent across purposes."""
    hashed = F.xxhash64(*keys, F.lit(run_id), F.lit(purpose))
    return F.shiftrightunsigned(hashed, 11).cast("double") / F.lit(float(1 << 53))


def is_explorer(user_id: Column, run_id: str, share: float) -> Column:
    """Whether the run leaves this user out of its plan to try a random promotion, or none, on them; `share` is in [0, 1)."""
    return draw("explore", run_id, user_id) < F.lit(share)


def is_holdout(user_id: Column, share: float) -> Column:
    """Whether no plan of any run may write to this user; `share` is in [0, 1)."""
    return draw("holdout", "every run", user_id) < F.lit(share)


def is_left_out(user_id: Column, run_id: str, explore_share: float, holdout_share: float) -> Column:
    """Whether the run plans nothing for this user, who explores or is held out."""
    return is_explorer(user_id, run_id, explore_share) | is_holdout(user_id, holdout_share)


def is_control(user_id: Column, run_id: str, share: float) -> Column:
    """Whether the run withholds the offer it planned for this user, to have someone to compare with; `share` is in [0, 1)."""
    return draw("control", run_id, user_id) < F.lit(share)
