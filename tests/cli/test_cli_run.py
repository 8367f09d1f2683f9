import gzip
import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import builders
from promoloop import tables
from promoloop.cli import app, journal, loop, status
from promoloop.cli.jobs import load
from promoloop.cli.reproduce import plan
from promoloop.launch import Outcome
from promoloop.settings import Settings

Jobs = Callable[..., Path]


def command(monkeypatch: pytest.MonkeyPatch, settings: Settings, *words: str) -> int:
    """Run `promoloop` with `words` and all places of `settings`; return the exit code."""
    places = [f"paths.{name}={value}" for name, value in settings.paths.model_dump().items()]
    sets = [word for place in places for word in ("--set", place)]
    monkeypatch.setattr("sys.argv", ["promoloop", *words, "--config", "ci", *sets])
    with pytest.raises(SystemExit) as ended:
        app.main()
    return int(ended.value.code or 0)


def test_a_step_alone_prints_its_rows_and_is_kept_in_the_journal(
    spark: SparkSession, settings: Settings, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    jobs(build_features="pass")
    assert command(monkeypatch, settings, "run", "build_features") == 0
    line = next(line for line in capfd.readouterr().out.splitlines() if "build_features" in line)
    assert line.split()[:7] == ["build_features", "in", "5", "out", "3", "rejected", "2"]
    (record,) = journal.load(settings.paths.out_folder).values()
    assert (record.job, record.rows_rejected, record.figures) == ("build_features", 2, {"day": str(settings.run.as_of)})


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("raise UserError('promotion P3 ends before it starts')", 2, "error: step score_offers: promotion P3 ends before it starts"),
        ("raise ZeroDivisionError('x')", 1, "error: step score_offers broke (ZeroDivisionError); the traceback is in"),
        ("raise KeyboardInterrupt", 130, "error: stopped at score_offers; go on with: promoloop run --to allocate_promotions --config ci "),
    ],
)
def test_a_broken_step_ends_in_one_line_and_later_steps_do_not_run(
    body: str,
    code: int,
    said: str,
    spark: SparkSession,
    settings: Settings,
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    jobs(recommend_items="pass", score_offers=body, allocate_promotions="pass")
    journal.put(settings.paths.out_folder, loop.plan(settings, 2)[-1], Outcome(), 9.0)  # a run of two cycles came before
    assert command(monkeypatch, settings, "run", "--from", "recommend_items", "--to", "allocate_promotions") == code
    errors = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
    assert len(errors) == 1
    assert errors[0].startswith(said)
    assert [record.job for record in journal.load(settings.paths.out_folder).values()] == ["recommend_items"]
    if code == 130:
        assert errors[0].endswith(" --from score_offers")
    if code == 1:
        assert "ZeroDivisionError: x" in Path(errors[0].split(" is in ")[1]).read_text()


def test_what_another_job_writes_into_a_table_of_the_plan_is_not_of_the_plans_job(
    spark: SparkSession, settings: Settings, jobs: Jobs
) -> None:
    lists = tables.ITEM_RECOMMENDATIONS
    tables.replace_table(builders.rows(spark, lists, {}), settings, lists)
    again = "tables.replace_table(tables.read(spark, settings, lists), settings, lists)"
    jobs(stream_recommendations=f"from promoloop import tables; lists = tables.ITEM_RECOMMENDATIONS; {again}")
    load("stream_recommendations")(spark, settings)
    noted = tables.history(spark, settings, lists).orderBy("version").collect()
    assert [row["job"] for row in noted] == [None, "recommend_items", "stream_recommendations"]
    assert [row["version"] for row in plan._commits(spark, settings, "recommend_items", settings.run.run_id)[lists.name]] == [1]


def test_what_native_code_prints_goes_to_the_log(
    spark: SparkSession, settings: Settings, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    jobs(build_features="__import__('os').system('echo solver banner')")
    command(monkeypatch, settings, "run", "build_features")
    printed = capfd.readouterr()
    assert "solver banner" not in printed.out + printed.err
    assert "solver banner" in (settings.paths.out_folder / "logs" / "spark.log").read_text()


def test_a_mapping_is_tried_on_files_without_writing(
    spark: SparkSession, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "landing" / "items" / "2026-01-01"
    folder.mkdir(parents=True)
    record = {"item": "i1", "category": "tea", "brand": "acme", "price": "ten", "unit_cost": 4, "stock": 5, "title": "Tea", "shelf": 3}
    with gzip.open(folder / "part.json.gz", "wt") as file:
        file.write(json.dumps(record) + "\n")
    for entity in ("events", "users", "promotions", "past_offers"):
        shutil.copytree(folder, tmp_path / "landing" / entity / "2026-01-01")
    assert command(monkeypatch, settings, "source", "check", "shop", str(tmp_path / "landing")) == 0
    said = capfd.readouterr().out
    assert "items: 1 records" in said
    assert "price: 100.00 % do not parse, such as ten" in said
    assert "shelf" in said
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("run", "--set", "shop.userz=5"), "shop.userz"),
        (("run", "--set", "shop.users=5"), "shop.users"),
        (("run", "--source", "retailrokcet"), "retailrokcet"),
        (("run", "--from", "clean_event"), "clean_event"),
        (("run", "clean_event"), "clean_event"),
        (("run", "--config", "claster"), "claster"),
        (("why",), "--user"),
        (("why", "u1", "--user", "u2"), "--user"),
    ],
)
def test_a_users_error_is_one_line_before_spark_starts(
    words: tuple[str, ...], named: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("promoloop.session.opened", lambda _: pytest.fail("Spark started"))
    assert command(monkeypatch, settings, *words) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert named in error


@pytest.mark.parametrize("out", ["a file", "no log"])
def test_an_output_folder_that_cannot_be_written_is_one_line(
    out: str,
    tmp_path: Path,
    settings_with: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "a file").touch()
    (tmp_path / "no log" / "logs" / "spark.log").mkdir(parents=True)
    monkeypatch.setattr("promoloop.session.opened", lambda _: pytest.fail("Spark started"))
    assert command(monkeypatch, settings_with(f"paths.out={tmp_path / out}"), "run") == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"error: paths.out: {tmp_path / out}/logs")


def test_a_dry_run_prints_every_step_and_runs_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("promoloop.session.opened", lambda _: nullcontext())
    monkeypatch.setattr(status, "state", lambda _spark, _settings, table: status.State(table))
    for what_runs in ("run_steps", "conclude"):
        monkeypatch.setattr(app, what_runs, lambda *_: pytest.fail("something ran"))
    steps = loop.plan(settings, 2)
    journal.put(settings.paths.out_folder, steps[-1], Outcome(), 9.0)
    assert command(monkeypatch, settings, "run", "--dry-run", "--cycles", "2") == 0
    _, *lines = [line.split() for line in capfd.readouterr().out.splitlines() if line.strip() and not line.startswith(" ")]
    assert [line[:2] for line in lines] == [[step.label, step.as_of.isoformat()] for step in steps]
    assert {"events", "(new)"} <= set(lines[3])
    command(monkeypatch, settings, "run", "--dry-run")
    assert list(journal.load(settings.paths.out_folder)) == [steps[-1].label]


def test_the_journal_replaces_a_repeated_step(settings: Settings) -> None:
    out = settings.paths.out_folder
    first, second = loop.plan(settings)[:2]
    for step, rows in ((first, 1), (second, 2), (first, 3)):
        journal.put(out, step, Outcome(rows_out=rows), 1.234)
    assert [(entry["job"], entry["rows_out"]) for entry in json.loads(journal.path(out).read_text())] == [
        (second.job, 2),
        (first.job, 3),
    ]
