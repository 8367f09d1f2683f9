"""Rules from a Great Expectations suite: its predicates, so that one pass over the rows finds every rule each row breaks.

`expectations/NAME.json` is the only statement of the rules. Each expectation names the reason it gives (`meta.reason`). Its Spark
predicate is what Great Expectations itself reports (`unexpected_index_query`) when it validates an empty frame of the schema. As
that takes seconds, the answer is kept in `expectations/compiled/NAME.json` under a hash of suite and schema; a stale copy is not
used, and a test compares it with a fresh one. Rewrite with `make docs`.
"""

import ast
import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import types as T

from promoloop import home
from promoloop.errors import UserError

_PREDICATE = re.compile(r"^df\.filter\(F\.expr\((?P<quoted>.*)\)\)$", re.DOTALL)


@dataclass(frozen=True)
class Rule:
    """One rule over rows: the reason it gives, and the SQL that is true on a row that breaks it."""

    reason: str
    broken: str
    is_critical: bool = False


def load_suite(name: str) -> dict[str, Any]:
    """The suite `expectations/NAME.json`. Raises UserError where it is missing or not JSON."""
    path = home.folder("expectations") / f"{name}.json"
    if not path.is_file():
        raise UserError(f"no suite expectations/{name}.json")
    try:
        suite: dict[str, Any] = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"expectations/{name}.json: {error}") from None
    return suite


def load_rules(spark: SparkSession, name: str, schema: T.StructType) -> list[Rule]:
    """The rules of suite `name` over rows of `schema`, from the compiled copy where it is fresh, else from Great Expectations."""
    mark = fingerprint(name, schema)
    compiled = home.folder("expectations") / "compiled" / f"{name}.json"
    if compiled.is_file():
        kept = json.loads(compiled.read_text())
        if kept["fingerprint"] == mark:
            return [Rule(**rule) for rule in kept["rules"]]
    return extract_rules(spark, name, schema)


def fingerprint(name: str, schema: T.StructType) -> str:
    """Hash of a suite and the schema it is about."""
    return hashlib.sha256(json.dumps([load_suite(name), schema.simpleString()], sort_keys=True).encode()).hexdigest()


def compiled_text(rules: list[Rule], name: str, schema: T.StructType) -> str:
    """The text of `expectations/compiled/NAME.json`."""
    return json.dumps({"fingerprint": fingerprint(name, schema), "rules": [asdict(rule) for rule in rules]}, indent=1) + "\n"


def extract_rules(spark: SparkSession, name: str, schema: T.StructType) -> list[Rule]:
    """Ask Great Expectations for the predicates of suite `name`. Raises UserError naming a rule that cannot be evaluated."""
    import great_expectations as gx  # seconds to import, and needed where the compiled copy is stale alone

    suite = load_suite(name)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    source = context.data_sources.add_spark(name, persist=False)
    batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
    validated = batch.get_batch({"dataframe": spark.createDataFrame([], schema)}).validate(
        gx.ExpectationSuite(name=name, expectations=suite["expectations"]), result_format="COMPLETE"
    )
    found = [_rule(result, name) for result in validated.results]
    order = [expectation["meta"]["reason"] for expectation in suite["expectations"]]
    return sorted(found, key=lambda rule: order.index(rule.reason))


def _rule(result: Any, name: str) -> Rule:
    config = result.expectation_config
    reason = (config.meta or {}).get("reason")
    query = _PREDICATE.match(str(result.result.get("unexpected_index_query")))
    if reason is None or query is None:
        raise UserError(
            f"expectations/{name}.json: {config.type} on {config.kwargs.get('column')} cannot be evaluated: {result.exception_info}"
        )
    predicate = ast.literal_eval(query["quoted"])
    condition = config.kwargs.get("row_condition")  # the reported predicate leaves it out
    if isinstance(condition, dict):  # how Great Expectations hands a condition back
        condition = condition["pass_through_filter"]
    broken = f"({condition}) AND ({predicate})" if condition else predicate
    return Rule(reason, broken, is_critical=str(getattr(config.severity, "value", config.severity)) == "critical")
