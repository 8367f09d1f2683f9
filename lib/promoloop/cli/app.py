"""The commands. Exit codes: 0 done, 1 a step broke, 2 a user's error, 130 interrupted.

A command imports what it alone needs when it runs: a question about one user is answered before the plots could be loaded.
"""

import json
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from pyspark.sql import SparkSession
from rich.console import Console

from promoloop import home, session, sources
from promoloop.cli import consoles, jobs, journal, lookup, loop, why
from promoloop.cli.run import StepError, StepInterruptedError, logs_folder, run_steps
from promoloop.errors import UserError
from promoloop.report import words
from promoloop.settings import Settings, load

app = typer.Typer(
    help="Decide which promotion goes to whom, when, and prove what it earned.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
source_app = typer.Typer(help="Logs that can be read.", no_args_is_help=True)
app.add_typer(source_app, name="source")

SourceName = Annotated[str, typer.Option("--source", help="The embedded shop, or a mapping: its name in conf/sources, or its file.")]
Config = Annotated[list[str] | None, typer.Option("--config", help="Settings overlay: a file, or the name of one in conf/. Repeatable.")]
Assignments = Annotated[list[str] | None, typer.Option("--set", help="One setting: section.key=value. Repeatable.")]


@app.command()
def run(
    step: Annotated[str | None, typer.Argument(help="Run this step alone; without it, the whole loop.")] = None,
    source_name: SourceName = "shop",
    first: Annotated[str | None, typer.Option("--from", help="First step to run; earlier ones are taken as done.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last step to run.")] = None,
    cycles: Annotated[int, typer.Option(min=1, help="Times to go round; the embedded shop reacts to each plan.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print steps and tables, run nothing.")] = False,
    config: Config = None,
    assignments: Assignments = None,
) -> None:
    """Run the whole loop, or a part of it; ends with a summary and a report. Safe to repeat."""
    from promoloop.cli import live, status

    settings = load_for(source_name, config, assignments)
    if step and (first or last or cycles > 1):
        raise UserError(f"step {step} alone takes no --from, --to or --cycles")
    steps = whole = loop.plan(settings, cycles)
    if step:
        steps = loop.between(steps, step, step) if step in {s.label for s in steps} else (loop.Step(step, 1, settings.run.as_of),)
    else:
        steps = loop.between(steps, first, last)
    for planned in steps:
        loop.source_code(planned.job)  # a step that is not there is named before Spark starts
    with opened(settings) as (console, spark):
        if dry_run:
            console.print(status.plan_states(spark, settings, steps))
            return
        if not step:
            journal.keep_only(settings.paths.out_folder, {planned.label for planned in whole})
        with live.watching(console, steps) as watcher:
            run_steps(spark, settings, steps, watcher)
        if not step:
            conclude(console, spark, settings)


@app.command("status")
def show_status(
    source_name: SourceName = "shop",
    lineage: Annotated[bool, typer.Option("--lineage", help="Newest versions with the job, run, code and inputs each came from.")] = False,
    config: Config = None,
    assignments: Assignments = None,
) -> None:
    """Tables with their rows, versions and last writes, and the newest batches; or where each version came from."""
    from promoloop.cli import status

    settings = load_for(source_name, config, assignments)
    with opened(settings) as (console, spark):
        if lineage:
            console.print(status.lineage(spark, settings))
            return
        console.print(status.table_states(spark, settings))
        newest = status.batches(spark, settings)
        if newest is not None:
            console.print("")
            console.print(newest)


@app.command("report")
def build_report(source_name: SourceName = "shop", config: Config = None, assignments: Assignments = None) -> None:
    """Build the report and the summary again from the tables, and print where they are."""
    settings = load_for(source_name, config, assignments)
    with opened(settings) as (console, spark):
        conclude(console, spark, settings)


@app.command()
def truth(config: Config = None, assignments: Assignments = None) -> None:
    """What the embedded shop knows: how well the best conceivable models could do, beside how well ours do."""
    from promoloop.cli import reporting

    settings = load_for("shop", config, assignments)
    with opened(settings) as (console, spark):
        console.print(reporting.best_achievable(spark, settings))


@app.command("why")
def explain(
    user: Annotated[str | None, typer.Argument(help="Raw id, as the mapping makes it, or pseudonym.")] = None,
    named: Annotated[str | None, typer.Option("--user", help="The same, as an option.")] = None,
    promotion: Annotated[str | None, typer.Option("--promotion", help="This one alone.")] = None,
    source_name: SourceName = "shop",
    config: Config = None,
    assignments: Assignments = None,
) -> None:
    """Say why a user gets what they get in the plan of run.as_of: value, what all that is scarce charges, the runner-up."""
    asked = [one for one in (user, named) if one is not None]
    if len(asked) != 1:
        raise UserError("why: name one user, as an argument or by --user")
    settings = load_for(source_name, config, assignments)
    quick = lookup.without_spark(settings)
    if quick is not None:
        with guarded(settings) as console:
            console.print(why.reasons(quick, settings, asked[0], promotion, settings.report.currency))
        return
    with opened(settings) as (console, spark):
        console.print(why.reasons(lookup.by_spark(spark, settings), settings, asked[0], promotion, settings.report.currency))


@app.command("design")
def design_campaigns(
    generations: Annotated[int | None, typer.Option(min=1, help="Generations to breed.")] = None,
    population: Annotated[int | None, typer.Option(min=4, help="Designs bred at a time.")] = None,
    choose: Annotated[str | None, typer.Option(help="profit, satisfaction, balanced, or a design's number (0: as today).")] = None,
    source_name: SourceName = "shop",
    config: Config = None,
    assignments: Assignments = None,
) -> None:
    """Breed which promotions to run, how deep, for how long, on what budget; show the front and solve the chosen one in full."""
    from promoloop.cli import design

    asked = {"generations": generations, "population": population, "choose": None if choose is None else json.dumps(choose)}
    named = [f"design.{name}={value}" for name, value in asked.items() if value is not None]
    settings = load_for(source_name, config, [*(assignments or []), *named])
    with opened(settings) as (console, spark):
        console.print(design.designed(console, spark, settings), soft_wrap=True)


@app.command("simulate-plan")
def simulate_plan(
    replications: Annotated[int | None, typer.Option(min=20, help="Times to play the plan.")] = None,
    source_name: SourceName = "shop",
    config: Config = None,
    assignments: Assignments = None,
) -> None:
    """Play the plan of run.as_of before it is issued: spend, redemptions, profit with intervals; chances to exceed a budget."""
    from promoloop.cli import playing

    named = [] if replications is None else [f"simulation.replications={replications}"]
    settings = load_for(source_name, config, [*(assignments or []), *named])
    with opened(settings) as (console, spark):
        console.print(playing.simulated(spark, settings), soft_wrap=True)


@app.command()
def requeue(source_name: SourceName = "shop", config: Config = None, assignments: Assignments = None) -> None:
    """Judge quarantined records again, after a fix of the rules or of the users and items that were missing."""
    settings = load_for(source_name, config, assignments)
    with opened(settings) as (console, spark):
        outcomes = [jobs.load(name)(spark, settings) for name in ("requeue_entities", "requeue_events")]  # an event may wait for its user
        released, stay = sum(outcome.rows_out for outcome in outcomes), sum(outcome.rows_rejected for outcome in outcomes)
        console.print(f"{words.count(released)} records released from quarantine, {words.count(stay)} stay")


@app.command()
def forget(
    users: Annotated[list[str], typer.Argument(help="Raw ids, as the mapping makes them.")],
    source_name: SourceName = "shop",
    config: Config = None,
    assignments: Assignments = None,
) -> None:
    """Erase users from tables, vault and channel files, past versions included; say what is left (nothing) and which models saw them."""
    named = f"privacy.forget={json.dumps(users)}"
    settings = load_for(source_name, config, [*(assignments or []), named])
    with opened(settings) as (console, spark):
        outcome = jobs.load("forget_user")(spark, settings)
        console.print(f"{words.count(outcome.rows_out)} rows erased")
        for where, rows in outcome.figures.items():
            console.print(f"{where}: {rows}", soft_wrap=True)


@app.command()
def rekey(
    new_key: Annotated[str, typer.Option("--new-key", help="Reference to the new key: file:PATH, env:NAME or secret:SCOPE/NAME.")],
    source_name: SourceName = "shop",
    config: Config = None,
    assignments: Assignments = None,
) -> None:
    """Change the key of the pseudonyms in every table, between two cycles. Safe to stop and to repeat."""
    named = f"privacy.new_key={json.dumps(new_key)}"
    settings = load_for(source_name, config, [*(assignments or []), named])
    with opened(settings) as (console, spark):
        outcome = jobs.load("rekey_users")(spark, settings)
        console.print(f"{words.count(outcome.rows_out)} rows re-keyed; from now on: privacy.key = {json.dumps(new_key)}", soft_wrap=True)


@app.command("reproduce")
def reproduce_run(
    run_id: Annotated[str, typer.Argument(help="The plan to make again: plan-YYYY-MM-DD.")],
    into: Annotated[str | None, typer.Option("--into", help="Root for the tables made again; default: in the output folder.")] = None,
    source_name: SourceName = "shop",
    config: Config = None,
    assignments: Assignments = None,
) -> None:
    """Make a past plan again from the table versions it was made of, beside the tables, and compare every table's content hash."""
    from promoloop.cli import reproduce

    settings = load_for(source_name, config, assignments)
    with opened(settings) as (console, spark):
        made = reproduce.again(spark, settings, run_id, into)
        console.print(reproduce.shown(made.compared))
        for reason in made.left_out:
            console.print(reason, soft_wrap=True)
        if not made.is_by_same_settings:
            console.print("the settings are not those the run was made with")
    differ = [one.table for one in made.compared if one.recorded != one.reproduced]
    if differ:
        raise StepError(f"not identical: {', '.join(differ)}")


@source_app.command("list")
def list_sources() -> None:
    """Names of the logs that can be given to --source."""
    from promoloop.cli import source

    consoles.console().print(source.known())


@source_app.command("check")
def check_source(
    mapping: Annotated[str, typer.Argument(help="Name of a mapping in conf/sources, or the path of a mapping file.")],
    folder: Annotated[str, typer.Argument(help="Folder (or URI) its file patterns start from.")],
    config: Config = None,
    assignments: Assignments = None,
) -> None:
    """Try a mapping on files without writing anything: mapped rows, fields left over, what does not parse."""
    from promoloop.cli import source

    settings = load_for(mapping, config, assignments)
    with opened(settings) as (console, spark):
        console.print(source.checked(spark, settings, folder))


def conclude(console: Console, spark: SparkSession, settings: Settings) -> None:
    """Sum up what the tables hold, for people and for machines."""
    from promoloop.cli import reporting, summary

    found = reporting.facts(spark, settings)
    reporting.write_data_docs(spark, settings)  # the report links it
    report, figures = reporting.write_report(found, settings), reporting.write_figures(found, settings)
    console.print(summary.summary(found, settings.report.currency))
    console.print(f"\nreport   {report}\nfigures  {figures}", soft_wrap=True)


def load_for(source_name: str, config: Sequence[str] | None, assignments: Sequence[str] | None) -> Settings:
    """Settings of a run on `source_name`: its own overlay in conf/, if there is one, comes before those asked for.

    Each source has places of its own under build/, unless an overlay says otherwise. Raises UserError naming a source that has no mapping.
    """
    if source_name == "shop":
        return load(config or [], assignments or [])
    name = sources.load_mapping(source_name).name
    overlays = [name] if (home.folder("conf") / f"{name}.toml").is_file() else []
    places = [f"paths.{place}={json.dumps(f'build/{name}/{place}')}" for place in ("tables", "vault", "landing", "checkpoints", "models")]
    below = [*places, f"paths.out={json.dumps(f'build/{name}')}"]
    return load([*overlays, *(config or [])], [f"source.name={json.dumps(source_name)}", *(assignments or [])], below)


@contextmanager
def opened(settings: Settings) -> Iterator[tuple[Console, SparkSession]]:
    """Yield a console for people, as `guarded`, and a session."""
    with guarded(settings) as console, session.opened(settings) as spark:
        yield console, spark


@contextmanager
def guarded(settings: Settings) -> Iterator[Console]:
    """Yield a console for people; noise, and the traceback of what breaks, goes to `logs/spark.log` in the output folder."""
    log = logs_folder(settings) / "spark.log"
    with consoles.noise_to(log) as console:
        try:
            yield console
        except (UserError, StepError, StepInterruptedError):
            raise
        except Exception as error:
            traceback.print_exc()  # standard error is the log here
            raise StepError(f"{type(error).__name__}: the traceback is in {log}") from error


def main() -> None:
    """Run the command line and turn errors into one line and an exit code."""
    try:
        app(prog_name="promoloop")
    except UserError as error:
        _end(str(error), 2)
    except StepError as error:
        _end(str(error), 1)
    except StepInterruptedError as step:
        _end(f"stopped at {step}; go on with: {_going_on(sys.argv[1:], step)}", 130)


def _going_on(arguments: Sequence[str], step: StepInterruptedError) -> str:
    """The command that goes on where one of these arguments was stopped: the same, from that step if it had several."""
    kept = list(arguments)
    if step.is_one_of_several:
        for place, said in enumerate(arguments):
            if said == "--from" or said.startswith("--from="):
                del kept[place : place + (2 if said == "--from" else 1)]
        kept += ["--from", str(step)]
    return shlex.join(["promoloop", *kept])


def _end(message: str, code: int) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
