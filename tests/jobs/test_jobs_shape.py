"""The shape every job has, read from the sources: no Spark needed."""

import ast
from pathlib import Path

import pytest

from promoloop import home

JOBS = sorted(path for path in Path(str(home.folder("jobs"))).glob("*.py"))
MAY_READ_TRUTH = {"simulate_shop", "evaluate_promotions"}


def tree(job: Path) -> ast.Module:
    return ast.parse(job.read_text())


# run beside the loop, on tables a step of it writes
AMENDING = {"stream_recommendations", "requeue_entities", "requeue_events", "forget_user", "rekey_users"}


def test_there_are_twelve_steps_of_the_loop() -> None:
    steps = {job.stem for job in JOBS}
    loop = "simulate_shop ingest_events clean_events build_features train_profiles score_profiles train_recommender recommend_items"
    assert set(loop.split()) | {"score_offers", "allocate_promotions", "issue_offers", "evaluate_promotions"} <= steps


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.stem)
def test_a_job_says_what_it_reads_and_writes_and_has_run(job: Path) -> None:
    module = tree(job)
    assert "->" in (ast.get_docstring(module) or ""), "docstring: inputs -> outputs"
    run = next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "run")
    assert [argument.arg for argument in run.args.args] == ["spark", "settings"]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.stem)
def test_a_job_imports_no_job_no_clock_and_no_chance(job: Path) -> None:
    names = {job.stem for job in JOBS}
    for node in ast.walk(tree(job)):
        if isinstance(node, ast.Import):
            imported = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported = {node.module or ""}
        else:
            continue
        assert not {name.split(".")[0] for name in imported} & (names | {"jobs", "random", "time"}), ast.unparse(node)


@pytest.mark.parametrize("job", [job for job in JOBS if job.stem not in MAY_READ_TRUTH], ids=lambda job: job.stem)
def test_no_other_job_names_the_truth(job: Path) -> None:
    assert "truth" not in job.read_text().lower()


def test_each_table_has_one_writer_in_the_loop() -> None:
    writers: dict[str, set[str]] = {}
    for job in (job for job in JOBS if job.stem not in AMENDING):
        for node in ast.walk(tree(job)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _WRITES:
                table = next((a.attr for a in node.args if isinstance(a, ast.Attribute) and a.attr.isupper()), None)
                if table:
                    writers.setdefault(table, set()).add(job.stem)
    assert writers, "no job writes a table"
    assert {table: by for table, by in writers.items() if len(by) > 1} == {}


_WRITES = {"append_once", "merge", "replace_day", "replace_named", "replace_run", "replace_runs", "replace_table"}
