"""The rules rows must keep, from the suites in expectations/ (one per table)."""

from promoloop.expectations.judging import add_reasons, gate, is_too_many, stopped, worst
from promoloop.expectations.rules import Rule, compiled_text, extract_rules, fingerprint, load_rules, load_suite
from promoloop.expectations.table_rules import broken_rules, facts_schema

__all__ = [
    "Rule",
    "add_reasons",
    "broken_rules",
    "compiled_text",
    "extract_rules",
    "facts_schema",
    "fingerprint",
    "gate",
    "is_too_many",
    "load_rules",
    "load_suite",
    "stopped",
    "worst",
]
