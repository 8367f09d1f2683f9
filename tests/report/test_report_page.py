import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from report_facts import PROMOTIONS, effect, facts, run
from rich.console import Console

from promoloop.cli import reporting, summary
from promoloop.report import health, page, planned, words
from promoloop.report.advice import advise
from promoloop.report.facts import Batch, Facts, Promotion, Resource, headline
from promoloop.report.look import Look
from promoloop.report.withholding import withheld

VOID = {"meta", "br", "hr", "img", "input", "link"}


def rendered(found: Facts) -> str:
    return page.render(found, "The title", "€", 10, None)


def printed(found: Facts) -> str:
    console = Console(file=StringIO(), width=170)
    console.print(summary.summary(found, "€"))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


class Outline(HTMLParser):
    """Open tags, ids, addresses and text of a page; fails on a tag closed out of order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "action", "data", "srcset", "xlink:href"):
                self.addresses.append(value or "")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open, tag
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not (self._open and self._open[-1] == "style"):
            self.text = f"{self.text} {data}"


def test_the_page_asks_for_nothing_and_links_only_to_itself() -> None:
    text = rendered(facts(run(), run("plan-2026-03-16")))
    outline = Outline(text)
    assert all(address.startswith("#") for address in outline.addresses)
    assert {address.removeprefix("#") for address in outline.addresses} <= set(outline.ids)
    assert not outline.tags & {"script", "link", "img", "iframe", "image"}
    assert "url(" not in re.sub(r"url\(#", "", text)
    assert not re.findall(r"(?<!xmlns:xlink=\")(?<!xmlns=\")https?://", text)
    assert len(outline.ids) == len(set(outline.ids))


def test_the_page_tells_the_numbers_of_the_latest_run() -> None:
    text = Outline(rendered(facts(run(), run("plan-2026-03-16", 2.0)))).text
    latest = run("plan-2026-03-16", 2.0)
    for told in (
        "True profit €8,000",
        "“Free tote bag from 60” runs out: each further unit is worth 3.20",
        "1 limit is not touched at all Budget: 20 % off dairy.",
        "210 planned users were drawn by lot to get nothing",
        "95 others get a random promotion, or none",
        "rests most on: days since purchase, count views 7d",
        "baseline: freshness of the last visit",
        "roi doubly robust 1.80 0.90 to 2.70",
        words.money(latest.expected_profit, "€"),
        "€8,400 (€6,000 to €10,800)",
        "1,012,345",
        "one more 1,000 of budget earns 1,840",
        "Stop or redesign “Flash sale: coffee −35 %”",
        "unknown item",
        "0.0040 %",
        "no limit is broken",
        "Cycle by cycle",
        "plan-2026-03-02 2,830 €1,800 €5,076 €4,200 €1,800 to €6,600",
        "plan-2026-03-16 5,660 €1,800 €10,151 €8,400 €6,000 to €10,800",
    ):
        assert told in text, told


def test_every_chart_has_words_for_those_who_cannot_see_it() -> None:
    text = rendered(facts())
    assert text.count("<svg ") == text.count('role="img" aria-label="') >= 8


def test_limits_are_drawn_in_what_they_count() -> None:
    limits = (
        Resource("region:north:offers", 2000.0, 1500.0, 0.0, "", "count"),
        Resource("minimum:P01", 400.0, 410.0, 0.0, "", "count"),
        Resource("floor:region:north:cost", 250.0, 260.0, 0.0, "", "cost"),
        Resource("disparity:region:north:most", 0.0, -12.0, 0.0, "", "count"),
    )
    tested = replace(run(), resources=limits)
    charts = dict(planned.use_charts(tested, Look(facts(tested), "€")))
    assert list(charts) == ["Limits in money", "Limits in offers"]
    assert "€260 of €250" in charts["Limits in money"]
    assert "1,500 of 2,000" in charts["Limits in offers"]
    assert "410 of 400" in charts["Limits in offers"]
    assert not [heading for heading, svg in charts.items() if "-12" in svg]


def test_groups_under_k_are_not_told_anywhere_on_the_page() -> None:
    tested = replace(run(), effects=(effect("all", 4200, 2400, treated=37, control=41),))
    text = Outline(rendered(replace(facts(tested), k=400))).text
    for told in ("fewer than 400 planned users were drawn by lot", "fewer than 400 others get", "fewer than 400 offers, – expected"):
        assert told in text, told
    assert "€720" not in text  # expected of the 300 offers of P03
    assert "fewer than 400 of 300 (" not in text
    assert "fewer than 400 of 300" in text
    assert not {"37", "41"} & set(text.split())


def test_figures_of_groups_under_k_are_told_nowhere() -> None:
    effects = (
        effect("all", 4321, 2000, treated=399),
        effect("all", 0.1234, 0.01, "observed", metric="redemption_rate", treated=399),
        effect("all", 373, 0, "refused", metric="effective_users", treated=900, note="373.0 effective users"),
        effect("promotion:P03", 512, 7, treated=300),
        effect("promotion:P01", 2913, 1500, treated=400),
        effect("segment:loyal", 613, 8, treated=35),
        effect("top:20", 3.17, 1.1, metric="incremental_profit_per_user", treated=35),
    )
    targeted = effect("all", 31.25, 2, "observational", "campaign-8", metric="profit_change_gap", is_causal=False, treated=2)
    limit = Resource("budget:P03", 1500.0, 451.0, 0.0, "", "cost")
    tested = replace(run(), effects=effects, resources=(*run().resources, limit))
    everything = replace(facts(tested, replace(tested, run_id="plan-2026-03-16")), k=400, past=(targeted,))
    found = withheld(everything)
    for small in ("€4,321", "€2,321", "12.34 %", "373", "€512", "€613", "€3.17", "€31.25", "€451"):
        assert small in Outline(rendered(replace(everything, k=1))).text, small
        for text in (Outline(rendered(found)).text, printed(found)):
            assert small not in text, small
    text = Outline(rendered(found)).text
    for said in ("€2,913 (€1,413 to €4,413)", "campaign-8", "– of €1,500", "Measured profit – 95 % interval –", "Expected profit €5,076"):
        assert said in text, said
    told = reporting.figures(found)["measured_incremental_profit"]
    assert told == {"value": None, "low": None, "high": None, "method": "doubly_robust", "is_causal": True}


def test_the_money_of_a_plan_of_few_users_is_told_nowhere() -> None:
    sent = tuple(replace(entry, users=2) for entry in run().treated)
    everything = replace(facts(replace(run(), issued=sent, effects=())), k=9)
    found = withheld(everything)
    for small in ("€5,076", "€1,800", "€1,999"):  # expected and worth in the objective, conceded, planned
        assert small in Outline(rendered(replace(everything, k=1))).text, small
        for text in (Outline(rendered(found)).text, printed(found)):
            assert small not in text, small
    figures = reporting.figures(found)
    hidden = ("objective", "bound", "offers_sent", "conceded", "expected_incremental_profit", "budget_planned")
    assert {name: figures[name] for name in hidden} == dict.fromkeys(hidden)
    assert reporting.figures(withheld(replace(everything, k=8)))["offers_sent"] == 8


@pytest.mark.parametrize(
    ("name", "sentence", "said"),
    [
        ("inventory:1", "1 runs out: each further unit is worth 1.10", "“Tea” runs out: each further unit is worth 1.10"),
        ("budget:1", "one more 1,000 of the budget of 1 earns 1,841", "one more 1,000 of the budget of “Tea” earns 1,841"),
        ("minimum:500", "500 runs for at least 500", "“$5 off, $9 back” runs for at least 500"),
        ("budget:P1", "one more 1,000 of the budget of P10 earns 9", "one more 1,000 of the budget of P10 earns 9"),
    ],
)
def test_an_id_in_a_sentence_is_named_and_no_amount_is(name: str, sentence: str, said: str) -> None:
    known = {"1": Promotion("1", "Tea", "gift"), "500": Promotion("500", "$5 off, $9 back", "gift")}
    assert Look(replace(facts(), promotions=known), "€").sentence(Resource(name, 1.0, 1.0, 1.0, sentence, "count")) == said


def test_dollars_in_a_chart_are_money() -> None:
    named = replace(PROMOTIONS["P01"], name="$5 off from $40")
    svg = planned.offers_chart(run(), Look(replace(facts(), promotions={**PROMOTIONS, "P01": named}), "$"))
    assert ">$5 off from $40</text>" in svg


def test_points_made_of_few_users_are_not_drawn() -> None:
    points = {k: str(health.model_cards(facts(), k)[1].calibration).count("<use ") for k in (1, 10)}
    assert points == {1: 3, 10: 2}


def test_broken_limits_are_said() -> None:
    text = Outline(rendered(replace(facts(), violations={"over_capacity": 2, "too_many": 0}))).text
    assert "2 limits are broken" in text
    assert "no limit is broken" not in text


def test_a_page_of_nothing_says_so() -> None:
    nothing = Facts("shop", Batch("all", 0, 0, 0, 0), (), (), {}, (), (), (), ())
    text = Outline(rendered(nothing)).text
    for said in ("Nothing has been received yet", "No offer has been issued yet", "No model has been trained yet", "Not measured yet"):
        assert said in text


def test_text_of_the_data_cannot_become_markup() -> None:
    evil = {**PROMOTIONS, "P01": replace(PROMOTIONS["P01"], name="<script>alert('x')</script>")}
    assert "script" not in Outline(rendered(replace(facts(), promotions=evil))).tags


def test_targeted_campaigns_are_associations_never_effects() -> None:
    targeted = replace(run(), effects=(effect("all", 500, 100, "observational", is_causal=False),))
    text = Outline(rendered(facts(targeted))).text
    assert "Association, not effect" in text
    assert "Measured profit" not in text
    assert not [entry for entry in advise(facts(targeted), "€") if "earned" in entry.why or "did better" in entry.title]


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        ("observational", "; assumed, not measured: past campaigns were targeted"),
        ("prior", "; assumed, not measured: there are no past offers to learn from"),
        ("randomised", ""),
        (None, ""),
    ],
)
def test_an_expectation_no_offers_drawn_by_lot_taught_is_called_assumed(evidence: str | None, said: str) -> None:
    tested = replace(facts(), effects_rest_on=evidence)
    for text in (Outline(rendered(tested)).text, printed(tested)):
        assert f"beyond what would have been earned anyway{said}" in text
        assert ("assumed" in text) == bool(said)


@pytest.mark.parametrize(
    ("value", "half", "title"),
    [(-900, 600, "Stop or redesign “20 % off dairy”"), (900, 600, "Keep “20 % off dairy”"), (900, 1600, "Go on testing 1 promotion")],
)
def test_advice_follows_the_interval(value: float, half: float, title: str) -> None:
    tested = replace(run(), effects=(effect("promotion:P02", value, half),), resources=())
    assert [entry.title for entry in advise(facts(tested), "€")] == [title]


@pytest.mark.parametrize(
    ("used", "price", "title"),
    [(2000.0, 1.5, "A larger budget would pay"), (1000.0, 0.0, "€1,000 of the budget has no good use"), (1990.0, 0.0, None)],
)
def test_advice_on_the_budget(used: float, price: float, title: str | None) -> None:
    budget = replace(run().resources[0], used=used, shadow_price=price)
    titles = [entry.title for entry in advise(facts(replace(run(), effects=(), resources=(budget,))), "€")]
    assert titles == ([title] if title else [])


@pytest.mark.parametrize(("capacity", "step"), [(10173.36, 1000), (10_000, 1000), (475, 10), (9.0, 1), (0.0, 1)])
def test_what_more_budget_is_worth_is_told_of_a_little_more(capacity: float, step: float) -> None:
    assert replace(run().resources[0], capacity=capacity).step == step


def test_a_promise_not_kept_is_named() -> None:
    promised = run().expected_profit
    for measured, said in ((promised - 500, "Trust the forecast less"), (promised + 500, "did better than promised")):
        titles = [entry.title for entry in advise(facts(replace(run(), effects=(effect("all", measured, 100),), resources=())), "€")]
        assert [title for title in titles if said in title], titles


def test_the_headline_takes_the_most_precise_method() -> None:
    effects = (
        effect("all", 1, 9, "observational"),
        effect("all", 2, 9, "difference"),
        effect("all", 3, 9, "cuped"),
        effect("form:gift", 4, 1),
    )
    best = headline(effects, "incremental_profit", "all")
    assert best is not None
    assert best.value == 3
    assert headline(effects, "incremental_revenue", "all") is None


@pytest.mark.parametrize(
    ("amount", "said"), [(0, "€0.00"), (-0.001, "€0.00"), (-5.5, "−€5.50"), (99.994, "€99.99"), (1234.5, "€1,234"), (None, "–")]
)
def test_money_in_words(amount: float | None, said: str) -> None:
    assert words.money(amount, "€") == said


@pytest.mark.browser
def test_a_browser_shows_the_page_within_its_width(tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no chromium")
    # The test's own copy measures itself: nothing may make the page wider than the window.
    probe = "<script>document.title = 'wide by ' + (document.documentElement.scrollWidth - innerWidth)</script>"
    file = tmp_path / "report.html"
    file.write_text(rendered(facts(run(), run("plan-2026-03-16"))).replace("</body>", probe + "</body>"), encoding="utf-8")
    for width in (500, 1200):  # headless chromium makes no window narrower than 500
        options = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
            f"--disable-component-update --disable-sync --user-data-dir={tmp_path}/profile --window-size={width},900 --dump-dom"
        )
        seen = subprocess.run([browser, *options.split(), file.as_uri()], capture_output=True, text=True, timeout=90, check=True).stdout
        title = re.search(r"<title>(.*?)</title>", seen)
        assert title is not None
        assert int(title.group(1).removeprefix("wide by ")) <= 0, (width, title.group(1))
        assert "What the next cycle would change" in seen
