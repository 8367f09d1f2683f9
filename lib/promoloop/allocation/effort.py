"""How hard to try."""

from dataclasses import dataclass

from promoloop.allocation.master import SolverName


@dataclass(frozen=True)
class Effort:
    """Sizes that bound the driver's work, and when to stop. None of them grows with the number of users."""

    sample_users: int = 50_000  # users whose prices the driver finds first
    band_users: int = 60_000  # undecided users a pass sends back, about
    master_options: int = 6_000  # options of theirs in the master programme, at least
    options_per_resource: int = 200  # the same for each resource: what a pass leaves over or short of one is mended by options of its own
    most_master_options: int = 20_000
    settled_users: int = 400  # users in the integer programme, beside those the master leaves with a fraction
    gap: float = 1e-6  # relative gap to stop at
    max_passes: int = 15
    solver: SolverName = "highs"

    def options(self, resources: int) -> int:
        """Options in the master programme of so many resources."""
        return max(self.master_options, min(self.options_per_resource * resources, self.most_master_options))
