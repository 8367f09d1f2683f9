from datetime import date
from pathlib import Path

import pytest

from promoloop.errors import UserError
from promoloop.settings import load


def test_later_overlays_and_assignments_win(tmp_path: Path) -> None:
    overlay = tmp_path / "mine.toml"
    overlay.write_text("[shop]\nusers = 321\nitems = 77\n")
    settings = load(["ci", str(overlay)], ["shop.items=99", "run.as_of=2026-05-01", "source.name=retailrocket"])
    assert settings.run.environment == "ci"
    assert (settings.shop.users, settings.shop.items) == (321, 99)
    assert settings.run.as_of == date(2026, 5, 1)
    assert settings.run.run_id == "plan-2026-05-01"
    assert settings.source.name == "retailrocket"


@pytest.mark.parametrize("overlay", ["local", "ci", "cluster", "databricks"])
def test_shipped_overlays_are_valid(overlay: str) -> None:
    assert load([overlay]).run.environment == overlay


@pytest.mark.parametrize(
    ("assignment", "named"),
    [
        ("shop.userz=5", "shop.userz"),
        ("shop.users=-5", "shop.users"),
        ("shop.users=many", "shop.users"),
        ("run.as_of=2026-02-30", "run.as_of"),
        ("nonsense.x=1", "nonsense"),
        ("privacy.k_anonymity=0", "privacy.k_anonymity"),
        ("events.max_rejected_share=1.5", "events.max_rejected_share"),
        ("events.max_quantity_of={wine=0}", "events.max_quantity_of.wine"),
        ("offers.prior_redemption.gift=0", "offers.prior_redemption.gift"),
        ("offers.prior_redemption.gift=1.0", "offers.prior_redemption.gift"),
        ("offers.prior_redemption.gfit=0.1", "offers.prior_redemption.gfit"),
        ("spark.master=yarn", "spark.master"),
        ("spark.java_options=-Xmx40g", "spark.java_options"),
        ("shopusers", "shopusers"),
    ],
)
def test_a_wrong_key_or_value_is_named(assignment: str, named: str) -> None:
    with pytest.raises(UserError, match=named) as error:
        load([], [assignment])
    assert "\n" not in str(error.value)


def test_a_missing_or_broken_overlay_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        load(["nowhere"])
    broken = tmp_path / "broken.toml"
    broken.write_text("[run\n")
    with pytest.raises(UserError, match=r"broken\.toml"):
        load([str(broken)])
    latin = tmp_path / "latin.toml"
    latin.write_bytes('[report]\ntitle = "Café"\n'.encode("latin-1"))
    with pytest.raises(UserError, match=r"latin\.toml: not UTF-8"):
        load([str(latin)])


def test_settings_are_frozen() -> None:
    settings = load()
    with pytest.raises(ValueError, match="frozen"):
        settings.run.seed = 3  # type: ignore[misc]
