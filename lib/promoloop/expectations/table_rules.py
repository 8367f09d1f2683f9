"""Rules over a handful of numbers about a table or batch: Great Expectations on the driver, no Spark job."""

from collections.abc import Mapping, Sequence

import pandas as pd

from promoloop.errors import UserError
from promoloop.expectations.rules import load_suite


def broken_rules(name: str, facts: Sequence[Mapping[str, float | None]]) -> list[tuple[str, list[float]]]:
    """Rules of suite `name` that `facts` (one mapping a row) break, each with the values at fault. Null says nothing.

    Raises UserError naming a rule that cannot be evaluated.
    """
    if all(value is None for row in facts for value in row.values()):
        return []  # nothing to judge: spare the seconds the import takes
    import great_expectations as gx

    suite = load_suite(name)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    frame = pd.DataFrame([dict(row) for row in facts], dtype="float64")
    batch = context.data_sources.add_pandas(name).add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
    expectations = gx.ExpectationSuite(name=name, expectations=suite["expectations"])
    validated = batch.get_batch({"dataframe": frame}).validate(expectations, result_format="COMPLETE")
    found = []
    for result in validated.results:
        reason = result.expectation_config.meta["reason"]  # type: ignore[union-attr]
        if "unexpected_list" not in result.result:
            raise UserError(f"expectations/{name}.json: rule '{reason}' cannot be evaluated: {result.exception_info}")
        if not result.success:
            found.append((reason, list(result.result["unexpected_list"])))
    return found
