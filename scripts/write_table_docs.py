"""Write docs/tables.md from promoloop.tables; `--check` fails where the page is stale."""

import sys
from pathlib import Path

from promoloop.tables import APART, TABLES, Table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "tables.md"


def describe(table: Table) -> str:
    """One section of the page."""
    lines = [
        f"## {table.name}",
        "",
        f"Grain: {table.grain}. Key: {', '.join(table.key)}. Written by `{table.written_by}` ({table.writing})"
        + (", under `paths.vault`" if table.place == "vault" else "")
        + (f", clustered by {', '.join(table.clustering)}." if table.clustering else "."),
        "",
        "| column | type | null | meaning |",
        "|---|---|---|---|",
    ]
    lines += [f"| {c.name} | {c.type} | {'yes' if table.is_nullable(c) else 'no'} | {c.meaning} |" for c in table.columns]
    return "\n".join(lines)


def main() -> None:
    """Write or check the page."""
    head = "# Tables\n\nGenerated from `lib/promoloop/tables` by `make docs`; do not edit.\n\n"
    page = head + "\n\n".join(describe(table) for table in (*TABLES, *APART)) + "\n"
    if "--check" in sys.argv:
        if not PAGE.is_file() or PAGE.read_text() != page:
            sys.exit("docs/tables.md is stale: run make docs")
        return
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
