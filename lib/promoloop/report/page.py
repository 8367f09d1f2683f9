"""Facts -> one self-contained HTML page: no script, no request, light and dark."""

from importlib.resources import files

import jinja2

from promoloop.report import health, measured, overview, planned, words
from promoloop.report.advice import advise
from promoloop.report.facts import Facts
from promoloop.report.look import Look


def render(facts: Facts, title: str, currency: str, k: int, docs: str | None = None) -> str:
    """The page. `docs` is the address of the data docs relative to it; `k` the smallest group that is named."""
    look = Look(facts, currency)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"count": words.count, "percent": words.percent, "plain": words.plain, "money": look.money}
    template = environment.from_string((files("promoloop.report") / "page.html.j2").read_text(encoding="utf-8"))
    page = template.render(
        title=title, facts=facts, run=facts.latest, look=look, k=k, docs=docs,
        advice=advise(facts, currency), overview=overview, planned=planned, measured=measured, health=health,
    )  # fmt: skip
    return page.replace(f"−{currency}", f"−\u2060{currency}")  # no line break between the sign and the amount
