"""The only reads and writes of tables there are. Every write is enforced against the table's schema and atomic."""

import re
from collections.abc import Collection
from datetime import date
from functools import reduce
from pathlib import Path
from threading import Lock

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import session
from promoloop.errors import UserError
from promoloop.settings import Settings
from promoloop.tables import commits, lineage
from promoloop.tables.commits import Commit
from promoloop.tables.table import Table

_creating = Lock()
_NOTE = "spark.databricks.delta.commitInfo.userMetadata"
_OF_PERSONS = ("user_id", "record", "offer_id", "code", "text", "_rescued")


def is_catalog(root: str) -> bool:
    """Whether `paths.tables` names a catalog's schema, not a place of files."""
    return re.fullmatch(r"\w+\.\w+", root) is not None


def address(settings: Settings, table: Table) -> str:
    """How Spark SQL names the table: ``delta.`URI` `` under a root URI, or catalog.schema.name."""
    root = settings.paths.vault if table.place == "vault" else settings.paths.tables
    if is_catalog(root):
        return f"{root}.{table.name}"
    uri = root if ":" in root else str(Path(root).resolve())
    return f"delta.`{uri.rstrip('/')}/{table.name}`"


def path_of(settings: Settings, table: Table) -> Path | None:
    """Where the table lies on a file system of this machine; None where it lies in a catalog or an object store."""
    name = address(settings, table)
    return Path(_path(name)) if _is_path(name) and ":" not in _path(name) else None


def _is_path(name: str) -> bool:
    return name.startswith("delta.`")


def _path(name: str) -> str:
    return name.removeprefix("delta.`").removesuffix("`")


def exists(spark: SparkSession, settings: Settings, table: Table) -> bool:
    """Whether the table has been written yet."""
    return _newest(spark, settings, table) is not None


def read(spark: SparkSession, settings: Settings, table: Table) -> DataFrame:
    """The table, all rows. Raises UserError where it has not been written yet, naming the job that writes it."""
    version(spark, settings, table)
    return spark.table(address(settings, table))


def read_version(spark: SparkSession, settings: Settings, table: Table, version: int) -> DataFrame:
    """The table as it was at one of its versions (see `history`), so that a past run can be repeated on what it read.

    Raises UserError if that is gone.
    """
    try:
        return spark.sql(f"SELECT * FROM {address(settings, table)} VERSION AS OF {version:d}")
    except AnalysisException as error:
        raise _is_gone(table, version, error) from None


def clone_version(spark: SparkSession, settings: Settings, table: Table, version: int, into: Settings) -> None:
    """Make `table` in the places of `into` what it was here at `version`, by reference to its files. Raises UserError if that is gone."""
    try:
        spark.sql(f"CREATE OR REPLACE TABLE {address(into, table)} SHALLOW CLONE {address(settings, table)} VERSION AS OF {version:d}")
    except AnalysisException as error:
        raise _is_gone(table, version, error) from None


def _is_gone(table: Table, version: int, error: AnalysisException) -> UserError:
    return UserError(f"table {table.name}: version {version} is gone ({str(error).splitlines()[0][:120]})")


def version(spark: SparkSession, settings: Settings, table: Table) -> int:
    """The table's current version, noted as read. Raises UserError as `read`."""
    newest = _newest(spark, settings, table)
    if newest is None:
        raise UserError(f"table {table.name} is missing under {settings.paths.tables}: run {table.written_by} first")
    lineage.note_read(settings, table, newest.version)
    return newest.version


def history(spark: SparkSession, settings: Settings, table: Table) -> DataFrame:
    """Versions of the table with the job, run, code and input versions behind each, and the rows it wrote; key version."""
    return lineage.history(spark, address(settings, table))


def read_stream(spark: SparkSession, settings: Settings, table: Table) -> DataFrame:
    """Rows appended to the table, as a stream; rows that `forget` or `rekey` changed do not come again. Raises UserError as `read`."""
    version(spark, settings, table)
    stream, name = spark.readStream.format("delta").option("skipChangeCommits", "true"), address(settings, table)
    return stream.load(_path(name)) if _is_path(name) else stream.table(name)


def read_or_empty(spark: SparkSession, settings: Settings, table: Table) -> DataFrame:
    """The table, or no rows of its schema where it has not been written yet."""
    return read(spark, settings, table) if exists(spark, settings, table) else spark.createDataFrame([], table.schema)


def read_all(spark: SparkSession, settings: Settings, *tables: Table) -> DataFrame:
    """The rows of several tables of the same columns, those that have been written."""
    return reduce(DataFrame.unionByName, (read_or_empty(spark, settings, table) for table in tables))


def checkpoint(settings: Settings, name: str) -> str:
    """Where the stream `name` remembers what it took."""
    root = settings.paths.checkpoints
    return f"{root if ':' in root else Path(root).resolve()}/{name}"


def enforce(rows: DataFrame, table: Table) -> DataFrame:
    """The table's columns in order. Raises UserError naming a column that is missing, unknown or of another type."""
    have = {field.name: field.dataType.simpleString() for field in rows.schema}
    want = {field.name: field.dataType.simpleString() for field in table.schema}
    faults = [f"{name} is missing" for name in want if name not in have]
    faults += [f"{name} is unknown" for name in have if name not in want]
    faults += [f"{name} is {have[name]}, not {kind}" for name, kind in want.items() if name in have and have[name] != kind]
    if faults:
        raise UserError(f"rows for table {table.name} do not fit: {'; '.join(faults)}")
    return rows.select(*table.column_names)


def _begun(spark: SparkSession, settings: Settings, table: Table) -> Commit:
    """The table's newest commit; where there is no table, create it empty, with its constraints and clustering."""
    newest = _newest(spark, settings, table)
    if newest is not None:
        return newest
    _lay_out(spark, settings, table)
    created = _newest(spark, settings, table)  # more than created, where another began it at once
    return created or Commit(0, 0, is_creation=True)


def _lay_out(spark: SparkSession, settings: Settings, table: Table) -> None:
    """Create the table empty, unless another did meanwhile."""
    columns = ", ".join(f"`{column.name}` {column.type}{'' if table.is_nullable(column) else ' NOT NULL'}" for column in table.columns)
    clustering = f" CLUSTER BY ({', '.join(table.clustering)})" if table.clustering else ""
    statistics = f" TBLPROPERTIES ('delta.dataSkippingStatsColumns' = '{','.join(_measured(table))}')"
    with _creating:  # streams of one job may begin the same table at once
        spark.sql(f"CREATE TABLE IF NOT EXISTS {address(settings, table)} ({columns}) USING delta{clustering}{statistics}")


def _measured(table: Table) -> list[str]:
    """Columns whose least and greatest values stand in Delta's log, as measuring costs a write: those that rows are clustered by, else keys
    and times. None tells of a person, as the log outlives what it tells of.
    """
    times = [column.name for column in table.columns if column.type in ("date", "timestamp")]
    chosen = [name for name in table.clustering or dict.fromkeys([*table.key, *times]) if name not in _OF_PERSONS]
    return chosen or [column.name for column in table.columns if column.type == "string" and column.name not in _OF_PERSONS][:1]


def create(spark: SparkSession, settings: Settings, table: Table) -> None:
    """Create the table without rows where there is none."""
    _begun(spark, settings, table)


def append_once(rows: DataFrame, settings: Settings, table: Table, application: str, version: int) -> int:
    """Append `rows` unless `version` (or a later one) of `application` was appended before; return rows written."""
    writer = enforce(rows, table).write.format("delta").mode("append").option("txnAppId", application).option("txnVersion", version)
    return _write(rows, settings, table, writer, _take(application, version))


def inputs_of(spark: SparkSession, settings: Settings, table: Table, application: str, version: int) -> dict[str, int]:
    """Versions of other tables, by name, that `version` of `application` was made from, where it was lately appended; else none."""
    return lineage.inputs_of(spark, address(settings, table), _take(application, version)) if exists(spark, settings, table) else {}


def _take(application: str, version: int) -> str:
    return f"{application} {version}"


def merge(
    rows: DataFrame,
    settings: Settings,
    table: Table,
    is_insert_only: bool = False,
    columns: Collection[str] | None = None,
    gone: str | None = None,
    day: date | None = None,
) -> int:
    """Insert rows with a new key and update the others (unless `is_insert_only`); return rows inserted or updated.

    `rows` must hold each key once. `columns`: those that `rows` say anything of; an update leaves the others as they are. None: all.
    `gone`: a boolean column beside the table's, true where the row of that key is to be deleted instead, if there is one.
    `day`: the as_of_on of all `rows`; files of other days are then not looked at.
    """
    spark = rows.sparkSession
    stays = rows if gone is None else rows.where(~F.col(gone)).drop(gone)
    before = _begun(spark, settings, table)
    if before.is_creation:  # there is nothing to merge with
        return _write(rows, settings, table, enforce(stays, table).write.format("delta").mode("append"))
    enforced = enforce(stays, table)  # also where a flag comes along: it sees to names and types
    merged = enforced if gone is None else rows.select(*table.column_names, gone)
    merged.createOrReplaceTempView("_merged")
    on = " AND ".join([*(f"t.`{name}` = s.`{name}`" for name in table.key), *([] if day is None else [f"t.as_of_on = DATE'{day}'"])])
    stated = [f"t.`{name}` = s.`{name}`" for name in table.column_names if columns is None or name in columns]
    delete = "" if gone is None else f"WHEN MATCHED AND s.`{gone}` THEN DELETE "
    update = "" if is_insert_only else f"WHEN MATCHED THEN UPDATE SET {', '.join(stated)} "
    insert = f"WHEN NOT MATCHED{'' if gone is None else f' AND NOT s.`{gone}`'} THEN INSERT *"
    try:
        with session.options(spark, {_NOTE: lineage.note_for_commit(settings, table)}):
            spark.sql(f"MERGE INTO {address(settings, table)} t USING _merged s ON {on} {delete}{update}{insert}")
    finally:
        spark.catalog.dropTempView("_merged")
    return _rows_written(spark, settings, table, before.version)


def erase_people(pseudonyms: DataFrame, settings: Settings, table: Table) -> None:
    """Delete the rows about `pseudonyms` (one column, user_id), by the table's user_id or its JSON `record`.

    By a merge: the commit of a plain delete would quote its condition, and so the pseudonyms, for as long as the log is kept.
    """
    spark = pseudonyms.sparkSession
    pseudonyms.createOrReplaceTempView("_erased")
    on = "t.user_id = s.user_id" if "user_id" in table.column_names else "contains(t.record, s.user_id)"
    try:
        spark.sql(f"MERGE INTO {address(settings, table)} t USING _erased s ON {on} WHEN MATCHED THEN DELETE")
    finally:
        spark.catalog.dropTempView("_erased")


def vacuum(spark: SparkSession, settings: Settings, table: Table) -> None:
    """Remove the files of all but the current version at once: nothing older can be read again."""
    chosen = {
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
        # the default lists the folder in thousands of tasks, a minute for a tiny table
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "8",
    }
    with session.options(spark, chosen):
        spark.sql(f"VACUUM {address(settings, table)} RETAIN 0 HOURS")


def purge(spark: SparkSession, settings: Settings, table: Table) -> None:
    """`vacuum`, after rows that were only marked as deleted (deletion vectors) are gone from the files of the current version, too."""
    spark.sql(f"REORG TABLE {address(settings, table)} APPLY (PURGE)")
    vacuum(spark, settings, table)


def replace_day(rows: DataFrame, settings: Settings, table: Table, as_of: date) -> int:
    """Replace all rows of one as_of date by `rows`, in one atomic write; return rows written."""
    return _replace_where(rows, settings, table, f"as_of_on = DATE'{as_of.isoformat()}'")


def replace_run(rows: DataFrame, settings: Settings, table: Table, run_id: str) -> int:
    """Replace all rows of one run by `rows`, in one atomic write; return rows written."""
    return _replace_where(rows, settings, table, f"run_id = '{run_id}'")


def replace_runs(rows: DataFrame, settings: Settings, table: Table, run_ids: Collection[str]) -> int:
    """Replace all rows of `run_ids` by `rows`, in one atomic write; return rows written. Without any, the table is as it was."""
    return replace_named(rows, settings, table, "run_id", run_ids)


def replace_named(rows: DataFrame, settings: Settings, table: Table, column: str, values: Collection[str]) -> int:
    """Replace all rows with one of `values` in `column` by `rows`, in one atomic write; return rows written. Without any, it stays."""
    if not values:
        create(rows.sparkSession, settings, table)
        return 0
    return _replace_where(rows, settings, table, f"`{column}` IN ({', '.join(map(_quoted, values))})")


def _quoted(text: str) -> str:
    """`text` as a literal of Spark SQL; $ by its number, or Spark would put its own value for ${NAME}."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("$", "\\u0024")
    return f"'{escaped}'"


def replace_table(rows: DataFrame, settings: Settings, table: Table) -> int:
    """Replace all rows by `rows`, in one atomic write; return rows written."""
    return _replace_where(rows, settings, table, "true")


def rewrite_once(rows: DataFrame, settings: Settings, table: Table, application: str) -> int:
    """Replace all rows by `rows`, made of them, unless `application` did so before; return rows written. One atomic write.

    Rows go where clustering wants them, or every day of history would be in every file.
    """
    placed = rows.repartitionByRange(*table.clustering) if table.clustering else rows
    writer = enforce(placed, table).write.format("delta").mode("overwrite")
    return _write(rows, settings, table, writer.option("txnAppId", application).option("txnVersion", 0))


def content_hash(rows: DataFrame) -> int:
    """A hash of the rows as a multiset: equal for equal content in any order or file layout."""
    ordered = [F.to_json(F.struct(name)) for name in sorted(rows.columns)]
    total = rows.select(F.sum(F.xxhash64(*ordered).cast("decimal(38,0)")), F.count("*")).first()
    return hash((total[0], total[1])) if total is not None else 0


def _replace_where(rows: DataFrame, settings: Settings, table: Table, where: str) -> int:
    writer = enforce(rows, table).write.format("delta").mode("overwrite").option("replaceWhere", where)
    return _write(rows, settings, table, writer)


def _write(rows: DataFrame, settings: Settings, table: Table, writer, take: str | None = None) -> int:  # type: ignore[no-untyped-def]
    spark = rows.sparkSession
    before = _begun(spark, settings, table).version
    writer = writer.option("userMetadata", lineage.note_for_commit(settings, table, take))
    name = address(settings, table)
    if _is_path(name):
        writer.save(_path(name))
    else:
        writer.saveAsTable(name)
    return _rows_written(spark, settings, table, before)


def _newest(spark: SparkSession, settings: Settings, table: Table) -> Commit | None:
    return commits.newest(spark, address(settings, table), path_of(settings, table))


def _rows_written(spark: SparkSession, settings: Settings, table: Table, before: int) -> int:
    """Rows the newest commit wrote, from Delta's own metrics; 0 where nothing was committed since version `before`."""
    newest = _newest(spark, settings, table)
    return 0 if newest is None or newest.version == before else newest.rows_written
