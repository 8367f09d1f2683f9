"""Raw files of the embedded shop for tests: JSON lines, gz, as its simulator exports them; a test states only what differs."""

import gzip
import json
from pathlib import Path
from typing import Any

BATCH = "2026-01-01_2026-01-11"
_DEFAULTS: dict[str, dict[str, Any]] = {
    "users": {
        "name": "Ann Planted",
        "mail": "ann.planted@mail.example",
        "phone": "+86 138 0000 1234",
        "address": "1 Planted Street",
        "birth_year": 1990,
        "gender": "female",
        "region": "north",
        "occupation": "teacher",
        "income": 40000.0,
        "joined": "2025-05-01",
        "channels": ["push", "email"],
        "consent": True,
    },
    "items": {
        "category": "tea",
        "brand": "acme",
        "price": 10.0,
        "unit_cost": 4.0,
        "stock": 5,
        "title": "Green tea",
        "description": "Call 0571 8888999 or mail me@shop.example",
    },
    "promotions": {
        "name": "Tea week",
        "form": "discount",
        "discount_rate": 0.2,
        "starts": "2026-01-05T00:00:00Z",
        "ends": "2026-01-09T00:00:00Z",
        "budget": 100.0,
    },
    "past_offers": {
        "campaign": "past-1",
        "promotion": "P1",
        "arm": "treatment",
        "propensity": 0.5,
        "channel": "push",
        "issued": "2026-01-02T00:00:00Z",
        "valid_from": "2026-01-02T00:00:00Z",
        "valid_until": "2026-01-09T00:00:00Z",
    },
    "events": {"event_type": "view", "user": "u1", "session": "s1", "item": "i1", "time": "2026-01-02T10:00:00+08:00", "price": 10.0},
}


def write(landing: Path, entity: str, *records: dict[str, Any] | str, batch: str = BATCH, name: str = "part-0") -> Path:
    """One file of `entity`; a record that is text is written as it is."""
    folder = landing / entity / batch
    folder.mkdir(parents=True, exist_ok=True)
    lines = [record if isinstance(record, str) else json.dumps({**_DEFAULTS[entity], **record}) for record in records]
    path = folder / f"{name}.json.gz"
    with gzip.open(path, "wt") as out:
        out.write("".join(line + "\n" for line in lines))
    return path


def write_known(landing: Path) -> None:
    """Three users and three items: what cleaning asks of a shop."""
    write(landing, "users", *[{"user": f"u{i}"} for i in (1, 2, 3)])
    write(landing, "items", *[{"item": f"i{i}", "price": 10.0 * i} for i in (1, 2, 3)])


def write_shop(landing: Path) -> None:
    """Three users, three items, two sound promotions, one past offer."""
    write_known(landing)
    write(landing, "promotions", {"promotion": "P1"}, {"promotion": "P2", "form": "flash_sale", "inventory": 5})
    write(landing, "past_offers", {"offer": "o1", "user": "u1"})
