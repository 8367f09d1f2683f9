"""Outside logs as our raw columns, by mapping file (guide: docs/sources.md)."""

from promoloop.sources.check import SetCheck, check
from promoloop.sources.checkpoint import is_new, taken_by
from promoloop.sources.columns import read_columns, records_schema, redact
from promoloop.sources.entities import add_is_key_reused, as_rejected, keep_current, placeholders, received_again, released, still_refused
from promoloop.sources.lease import lease
from promoloop.sources.mapping import ENTITIES, TABLES, Files, Mapping, list_mappings, load_mapping
from promoloop.sources.reading import are_there, arrivals, refuse_moved, refuse_taken
from promoloop.sources.stream import Take, take, wait_for

__all__ = [
    "ENTITIES",
    "TABLES",
    "Files",
    "Mapping",
    "SetCheck",
    "Take",
    "add_is_key_reused",
    "are_there",
    "arrivals",
    "as_rejected",
    "check",
    "is_new",
    "keep_current",
    "lease",
    "list_mappings",
    "load_mapping",
    "placeholders",
    "read_columns",
    "received_again",
    "records_schema",
    "redact",
    "refuse_moved",
    "refuse_taken",
    "released",
    "still_refused",
    "take",
    "taken_by",
    "wait_for",
]
