"""Rewrite expectations/compiled/: the predicates of every suite, as Great Expectations reports them (see promoloop.expectations.rules).

Usage: `python scripts/compile_expectations.py`; needed after a change of a suite or of the columns it speaks of.
"""

from pathlib import Path

from promoloop import events, expectations, session, sources, tables
from promoloop.events import drift
from promoloop.settings import load

SCHEMAS = {
    "events": lambda: events.judged_schema(tables.RAW_EVENTS.schema),
    "batches": lambda: expectations.facts_schema(drift.COMPARED),
    **{
        table.name: lambda table=table: sources.records_schema(table.schema)
        for table in (tables.USERS, tables.ITEMS, tables.PROMOTIONS, tables.PAST_OFFERS)
    },
}


def main() -> None:
    """Write one file per suite."""
    folder = Path(__file__).resolve().parents[1] / "expectations" / "compiled"
    folder.mkdir(exist_ok=True)
    with session.opened(load()) as spark:
        for name, schema in SCHEMAS.items():
            rules = expectations.extract_rules(spark, name, schema())
            (folder / f"{name}.json").write_text(expectations.compiled_text(rules, name, schema()))
            print(f"{name}: {len(rules)} rules")


if __name__ == "__main__":
    main()
