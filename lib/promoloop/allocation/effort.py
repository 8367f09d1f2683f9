"""How hard to try."""

from dataclasses import dataclass

from promoloop.allocation.master import SolverName


@dataclass(frozen=True)
class Effort:
    """Sizes that bound the driver's work, and when to stop. None of them grows with the number of users."""

    sample_users: int = 50_000  # users whose prices the driver finds first
    band_users: int = 30_000  # undecided users a pass sends back, about
    master_options: int = 6_000  # options of theirs in the master programme
    settled_users: int = 400  # users in the integer programme, beside those the master leaves with a fraction
    gap: float = 1e-6  # relative gap to stop at
    max_passes: int = 15
    solver: SolverName = "highs"
