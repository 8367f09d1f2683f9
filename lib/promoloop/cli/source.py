"""Logs that can be read, and a mapping tried on files before the first ingest."""

from pyspark.sql import SparkSession
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from promoloop import sources
from promoloop.report import words
from promoloop.settings import Settings
from promoloop.sources import SetCheck


def known() -> Grid:
    """Name and title of every mapping in conf/sources."""
    grid = Grid(box=None, pad_edge=False, show_header=False)
    for name, title in sources.list_mappings().items():
        grid.add_row(name, title)
    return grid


def checked(spark: SparkSession, settings: Settings, folder: str) -> RenderableType:
    """What the mapping of the settings makes of the files below `folder`."""
    mapping = sources.load_mapping(settings.source.name)
    schemas = {entity: table.schema for entity, table in sources.TABLES.items()}
    found = sources.check(spark, mapping, mapping.folder(folder, folder), schemas, settings.run.as_of)
    return Group(*(part for result in found for part in _told(result)))


def _told(result: SetCheck) -> list[RenderableType]:
    if not result.is_there:
        return [Text(f"{result.entity}: no files yet of {result.files}", style="bold"), ""]
    heading = Text(f"{result.entity}: {words.count(result.count_records)} records of {result.files}", style="bold")
    parts: list[RenderableType] = [heading]
    if result.sample:
        sample = Grid(box=None, pad_edge=False, header_style="dim")
        columns = [name for name in result.sample[0] if any(row[name] is not None for row in result.sample)]
        for name in columns:
            sample.add_column(name, no_wrap=True)
        for row in result.sample:
            sample.add_row(*(words.short(row[name] or "–", 24) for name in columns))
        parts.append(sample)
    parts.append(f"  not readable: {words.percent(result.unread_share, 2)}")
    for column, share, values in result.failures:
        parts.append(f"  {column}: {words.percent(share, 2)} do not parse, such as {', '.join(values)}")
    empty = [f"{column} {words.percent(share, 1)}" for column, share in result.null_shares.items() if share > 0]
    lists = {"null": empty, "not mapped": result.unmapped, "new": result.new_fields, "unknown event types": result.words}
    return [*parts, *(f"  {label}: {', '.join(names)}" for label, names in lists.items() if names), ""]
