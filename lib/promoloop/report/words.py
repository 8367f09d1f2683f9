"""Numbers as people read them."""


def count(number: float | None) -> str:
    """A whole number with thousands separated; a dash for none."""
    return "–" if number is None else f"{number:,.0f}"


def money(amount: float | None, currency: str = "") -> str:
    """An amount: cents below a hundred only, a real minus sign, the currency before the figure."""
    if amount is None:
        return "–"
    digits = f"{abs(amount):,.2f}" if abs(amount) < 100 else f"{abs(amount):,.0f}"
    is_zero = not digits.strip("0.,")
    return f"{'−' if amount < 0 and not is_zero else ''}{currency}{digits}"


def tick(amount: float, currency: str = "") -> str:
    """An amount on an axis: cents only where there are any."""
    return f"{'−' if amount < 0 else ''}{currency}{abs(amount):,.{0 if float(amount).is_integer() else 2}f}"


def interval(low: float | None, high: float | None, currency: str = "") -> str:
    """`low to high`, or that there is none."""
    return "no interval" if low is None or high is None else f"{money(low, currency)} to {money(high, currency)}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share as a percentage; a dash for none."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def short(text: str, length: int = 32) -> str:
    """The text, cut to `length` with an ellipsis."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def plain(name: str) -> str:
    """A name from a table as words: underscores become spaces."""
    return name.replace("_", " ")
