from io import StringIO

import pytest

from promoloop.allocation.cards import Card
from promoloop.cli import consoles, why


@pytest.mark.parametrize(
    ("value", "arm", "said"),
    [
        (2.0, None, "; the user is left out of the plan (held out, or drawn to explore), or its limits were used up by others"),
        (2.0, "explore", ""),
        (-1.0, None, ""),
    ],
)
def test_who_gets_nothing_is_not_told_more_than_is_known(value: float, arm: str | None, said: str) -> None:
    last = why._sentences([Card("P1", value, 1.0, {})], [], arm, None, "€")[-1]
    assert last.startswith("no offer: the best, P1, leaves ")
    assert last.partition("leaves ")[2].lstrip("−€0123456789.") == said


def test_what_is_printed_is_text_and_nothing_else() -> None:
    out = StringIO()
    for named in ("[bold] tea [/b]", "form:gift:cost"):
        consoles.console(out).print(named)
    assert out.getvalue() == "[bold] tea [/b]\nform:gift:cost\n"
