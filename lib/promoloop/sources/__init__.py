"""Outside logs as our raw columns, by mapping file (guide: docs/sources.md)."""

from promoloop.sources.check import SetCheck, check
from promoloop.sources.columns import read_columns, records_schema, redact
from promoloop.sources.entities import add_is_key_reused, as_rejected, keep_current, placeholders
from promoloop.sources.lease import lease
from promoloop.sources.mapping import ENTITIES, Files, Mapping, list_mappings, load_mapping
from promoloop.sources.reading import are_there, arrivals
from promoloop.sources.stream import Take, take, wait_for

__all__ = [
    "ENTITIES",
    "Files",
    "Mapping",
    "SetCheck",
    "Take",
    "add_is_key_reused",
    "are_there",
    "arrivals",
    "as_rejected",
    "check",
    "keep_current",
    "lease",
    "list_mappings",
    "load_mapping",
    "placeholders",
    "read_columns",
    "records_schema",
    "redact",
    "take",
    "wait_for",
]
