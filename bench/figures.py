"""How every bench says a figure: one JSON line."""

import json


def say(bench: str, figure: str, value: object, unit: str, size: object, **more: object) -> None:
    """Print {"bench", "figure", "value", "unit", "size"} and what `more` there is to it; floats with the digits that mean something."""
    shown = float(f"{value:.6g}") if isinstance(value, float) else value
    print(json.dumps({"bench": bench, "figure": figure, "value": shown, "unit": unit, "size": size, **more}), flush=True)
