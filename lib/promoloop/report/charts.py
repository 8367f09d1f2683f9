"""The charts. Every mark is labelled with its value, so that nothing has to be read off an axis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from promoloop.report import words
from promoloop.report.drawing import ACCENT, BAD, GOOD, INK, LINE, MUTED, PAPER, SOFT, drawn


@dataclass(frozen=True)
class Bar:
    """One bar: what it is of, how long, and what is written at its end; `whole` draws the track it fills."""

    label: str
    value: float
    text: str
    whole: float | None = None
    colour: str = ACCENT


@dataclass(frozen=True)
class Measure:
    """One measured value with its interval, and what had been expected, if anything had; a `value` of None is not drawn."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    text: str
    expected: float | None = None
    truth: float | None = None
    is_causal: bool = True

    @property
    def colour(self) -> str:
        """Green or red where the interval is clear of zero, grey-blue where it is not, muted where it is no effect."""
        if not self.is_causal:
            return MUTED
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return ACCENT
        return GOOD if self.low > 0 else BAD


def bars(entries: Sequence[Bar], label: str, name: str) -> Markup:
    """Horizontal bars, first on top; SVG."""
    with drawn(len(entries), label, name) as drawing:
        axes = drawing.axes
        places = range(len(entries))
        longest = max((max(entry.value, entry.whole or 0) for entry in entries), default=1) or 1
        for place, entry in zip(places, entries, strict=True):
            if entry.whole is not None:
                axes.barh(place, entry.whole, height=0.62, color=LINE)
            axes.barh(place, entry.value, height=0.62, color=entry.colour)
            axes.text(max(entry.value, entry.whole or 0) + longest * 0.012, place, entry.text, va="center", ha="left", color=INK)
        axes.set_yticks(list(places), [words.short(entry.label) for entry in entries])
        axes.set_xlim(0, longest * 1.02)
        axes.set_ylim(len(entries) - 0.5, -0.5)
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
    return Markup(drawing.svg)


def measures(entries: Sequence[Measure], label: str, name: str, format: Callable[[float], str]) -> Markup:
    """Points with 95 % intervals around a zero line, first on top; a hollow diamond is what was expected, a cross the truth; SVG."""
    with drawn(len(entries) + 1, label, name) as drawing:
        axes = drawing.axes
        axes.axvline(0, color=MUTED, linewidth=0.9)
        for place, entry in enumerate(entries):
            if entry.low is not None and entry.high is not None:
                axes.plot([entry.low, entry.high], [place, place], color=entry.colour, linewidth=2.2, solid_capstyle="round")
            if entry.value is not None:
                axes.plot([entry.value], [place], "o", color=entry.colour, markersize=6, markeredgecolor=PAPER, markeredgewidth=0.8)
            if entry.expected is not None:
                axes.plot([entry.expected], [place], "D", markersize=6, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.1)
            if entry.truth is not None:
                axes.plot([entry.truth], [place], "x", color=INK, markersize=6.5, markeredgewidth=1.6)
            axes.text(1.015, place, entry.text, va="center", ha="left", color=INK, transform=axes.get_yaxis_transform())
        axes.set_yticks(range(len(entries)), [words.short(entry.label) for entry in entries])
        axes.set_ylim(len(entries) - 0.4, -0.6)
        axes.margins(x=0.06)
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter(lambda value, _: format(value))
        axes.grid(axis="x")
    return Markup(drawing.svg)


def calibration(points: Sequence[tuple[float, float]], label: str, name: str) -> Markup:
    """Observed against predicted shares, with the line on which they agree; SVG."""
    with drawn(5, label, name, width=3.0) as drawing:
        axes = drawing.axes
        most = max((max(point) for point in points), default=1.0) * 1.08 or 1.0
        axes.plot([0, most], [0, most], color=LINE, linewidth=1.2)
        axes.plot(*zip(*points, strict=True), "o-", color=ACCENT, markersize=4, linewidth=1.2)
        axes.set_xlabel("predicted")
        axes.set_ylabel("observed")
        axes.locator_params(nbins=4)
        axes.xaxis.set_major_formatter(lambda value, _: words.percent(value))
        axes.yaxis.set_major_formatter(lambda value, _: words.percent(value))
    return Markup(drawing.svg)


def split(parts: Sequence[tuple[str, float, str]], label: str, name: str) -> Markup:
    """One bar cut into named parts (name, size, colour), with a legend of names, sizes and shares beneath; SVG."""
    whole = sum(size for _, size, _ in parts) or 1
    with drawn(2, label, name) as drawing:
        axes = drawing.axes
        left = 0.0
        for place, (part, size, colour) in enumerate(parts):
            axes.barh(0, size, left=left, height=0.5, color=colour, edgecolor=PAPER, linewidth=1)
            left += size
            at = place / len(parts)
            axes.plot([at + 0.006], [-0.25], "s", color=colour, markersize=7, transform=axes.transAxes, clip_on=False)
            text = f"{part}: {words.count(size)} ({words.percent(size / whole, 1)})"
            axes.text(at + 0.025, -0.25, text, transform=axes.transAxes, va="center", color=INK)
        axes.set_xlim(0, whole)
        axes.set_axis_off()
    return Markup(drawing.svg)


__all__ = ["ACCENT", "BAD", "GOOD", "LINE", "MUTED", "SOFT", "Bar", "Measure", "bars", "calibration", "measures", "split"]
