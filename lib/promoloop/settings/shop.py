"""Settings of the embedded shop."""

from pydantic import Field

from promoloop.settings.section import Section


class ShopSettings(Section):
    """The simulated shop: its size and its days. Its laws are in `docs/simulator.md`."""

    users: int = Field(ge=100, description="Users the shop has")
    items: int = Field(ge=50)
    promotions: int = Field(ge=4, description="Promotions on offer for the next days, at least one of each form")
    days: int = Field(ge=21, description="Days of history before run.as_of, written when the shop opens")
    continue_days: int = Field(ge=1, description="Days lived after each plan; also the season over which truths are told")
