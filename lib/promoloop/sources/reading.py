"""Files of a source as rows: one per record, all fields as text, each with the place it came from. Batch or stream.

Text formats are read line by line, so nothing is lost: a line that does not parse still has its place. A csv file's header may
differ from file to file; a quoted field may not contain a line break.
"""

import csv
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.streaming.readwriter import DataStreamReader

from promoloop.errors import UserError
from promoloop.sources.checkpoint import file_taken
from promoloop.sources.mapping import Files

_AT_ANY_AGE = "36500d"
_TEXTS = "map<string,string>"
_ABSENT = ("PATH_NOT_FOUND", "DELTA_PATH_DOES_NOT_EXIST", "DELTA_TABLE_NOT_FOUND", "DELTA_MISSING_DELTA_TABLE")


def hidden(name: str) -> str:
    """`name` of a column of ours as it is called beside a source's own columns: as none of those ever is."""
    return f"__ours_{name}"


def are_there(spark: SparkSession, files: Files, folder: str) -> bool:
    """Whether any file of the set is there. Raises UserError where there are none of events."""
    found = has_files(spark, files, folder)
    if not found and files.entity == "events":
        raise UserError(f"no files of events: nothing matches {files.files!r} below {folder}")
    return found


def has_files(spark: SparkSession, files: Files, folder: str) -> bool:
    """Whether any file of the set is there."""
    try:
        _listed(spark, files, folder)
    except AnalysisException as error:
        if error.getCondition() not in _ABSENT:
            raise
        return False
    return True


def arrivals(spark: SparkSession, files: Files, folder: str, is_stream: bool = True, max_files: int | None = None) -> DataFrame:
    """Records as they arrive: a line or the columns themselves, and their place, under `hidden` names.

    The place: source_file (relative to `folder`), file_modified_at and row_number. A stream takes each file once; `max_files` bounds
    a micro-batch.
    """
    named = files.files if files.format == "delta" else _as_glob(files.files)
    glob = f"{folder}/{named}" if files.files else folder
    reader: DataStreamReader = spark.readStream if is_stream else spark.read  # type: ignore[assignment]
    if is_stream and max_files is not None:
        reader = reader.option("maxFilesPerTrigger", max_files)
    if is_stream and files.format != "delta":  # else Spark passes over, in silence, what was last written a week before the newest file
        reader = reader.option("maxFileAge", _AT_ANY_AGE)
    if files.format in ("json", "csv"):
        found = reader.text(glob)
    elif files.format == "parquet":
        found = reader.schema(_parquet_schema(spark, glob, files)).parquet(glob)
    else:
        is_log = is_stream and files.entity == "events"  # of events what is changed or erased did come before; of others it would be missed
        appended = reader.option("skipChangeCommits", "true") if is_log else reader
        found = appended.format("delta").load(glob)
    # streams of a Delta table have no _metadata; the moment of a take is kept by the checkpoint, so it stays in a replay
    is_delta = files.format == "delta"
    path = F.input_file_name() if is_delta else F.col("_metadata.file_path")
    start = F.input_file_block_start() if is_delta else F.col("_metadata.file_block_start")
    modified = F.current_timestamp() if is_delta else F.col("_metadata.file_modification_time")
    return found.select(
        *[F.col(f"`{name}`") for name in found.columns],
        _relative(path, folder).alias(hidden("source_file")),
        modified.alias(hidden("file_modified_at")),
        _position(F.xxhash64(path, start), start).alias(hidden("row_number")),
    )


def _parquet_schema(spark: SparkSession, glob: str, files: Files) -> T.StructType:
    """That of one file; where it lacks a field of the mapping, which may have come later, of all together, if their types agree."""
    of_one = spark.read.parquet(glob).schema
    there = {name.lower() for name in of_one.names}
    if all(name.lower() in there for name in files.fields):
        return of_one
    try:
        return spark.read.option("mergeSchema", True).parquet(glob).schema  # looks into every file
    except Exception as error:  # of a task that failed PySpark makes no error of its own
        if "CANNOT_MERGE_SCHEMAS" not in str(error):
            raise
        told = "the files differ in the type of a column, so they are read by the columns of one of them"
        print(f"set {files.entity} ({files.files}): {told}", file=sys.stderr)
        return of_one


def refuse_taken(spark: SparkSession, files: Files, folder: str, raw: DataFrame, gone: Collection[str] = ()) -> None:
    """Raise UserError where `raw` (rows of raw_events) holds records of files that this set would take: nothing remembers that it did.

    `gone`: checkpoints that no set of the mapping has any more.
    """
    paths = _listed(spark, files, folder).inputFiles()
    there = spark.createDataFrame([(path,) for path in paths], "path string").select(_relative(F.col("path"), folder).alias("source_file"))
    taken = there.join(raw, "source_file", "left_semi").orderBy("source_file").first()
    if taken is not None:
        raise UserError(
            f"events of {files.files!r} would be taken anew, but raw_events holds records of {taken['source_file']} already: "
            "bring paths.checkpoints back, keep files and only of a set and the name of its mapping, and give new files a set of their own "
            "(checkpoints of an earlier version: begin with empty tables)"
            + (f"; of a set that was dropped on purpose remove the checkpoint first: {', '.join(sorted(gone))}" if gone else "")
        )


def refuse_moved(spark: SparkSession, files: Files, folder: str, checkpoint: str) -> None:
    """Raise UserError where the stream of `checkpoint` took files elsewhere: it knows them by their whole address, not by their name."""
    taken = file_taken(spark, checkpoint)
    if taken is not None and not is_below(taken, folder):
        raise UserError(
            f"events of {files.files!r} would be taken anew: so far they came from elsewhere, such as {taken}, and are now looked for "
            f"below {folder}: bring the folder back, or begin with empty tables and checkpoints"
        )


def is_below(address: str, folder: str) -> bool:
    """Whether the file at `address`, as Spark spells it but without escapes, lies below `folder`: s3:// is another place than s3a://."""
    scheme, authority, path = _parts(address)
    of_scheme, of_authority, of_path = _parts(folder)
    if not of_scheme:  # of this machine: file:, or the file system that is the default, as dbfs: is on Databricks
        of_scheme = scheme if not authority else "file"
    is_same = scheme == of_scheme and (not authority or not of_authority or authority == of_authority)
    return is_same and path.startswith(f"{of_path.rstrip('/')}/")


def _parts(address: str) -> tuple[str, str, str]:
    """Scheme and authority, where `address` has them, and path."""
    scheme, authority, path = re.fullmatch(r"(?:([A-Za-z][\w+.-]*):(?://([^/]*))?)?(.*)", address, re.DOTALL).groups("")  # type: ignore[union-attr]
    return scheme, authority, re.sub("/+", "/", path)


def _listed(spark: SparkSession, files: Files, folder: str) -> DataFrame:
    """The files of a set, to be listed and not to be read."""
    return spark.read.format("delta" if files.format == "delta" else "text").load(f"{folder}/{files.files}")


def _as_glob(pattern: str) -> str:
    """`pattern` as it is, or, where it names one file, as a glob of that file: a stream takes folders and globs alone."""
    if re.search(r"[*?\[{]", pattern) or "." not in pattern.rsplit("/", 1)[-1]:
        return pattern
    return re.sub(r"([^/])([^/]*)$", r"[\1]\2", pattern)


def _relative(file_path: Column, folder: str) -> Column:
    """Worked out anew for every record, so it is spared the patterns and decodings it can be spared."""
    escaped = F.contains(file_path, F.lit("%"))
    path = F.when(escaped, F.url_decode(F.replace(file_path, F.lit("+"), F.lit("%2B")))).otherwise(file_path)
    below = re.sub(r"^\w+:/*", "/", folder) + "/"
    return F.substr(path, F.locate(below, path) + len(below))


@arrow_udf(T.LongType())  # type: ignore[call-overload,untyped-decorator]
def _count_up(batches: Iterator[tuple[pa.Array, pa.Array]]) -> Iterator[pa.Array]:
    """Position of each row among those of its file (first column), from the offset in the second. Rows of a file come together."""
    seen: dict[int, int] = {}
    for places, offsets in batches:
        runs = pc.run_end_encode(places)
        numbers, start = [], 0
        for place, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            first = seen.get(place, offsets[start].as_py())
            numbers.append(pa.array(np.arange(first, first + end - start)))
            seen[place] = first + end - start
            start = end
        yield pa.concat_arrays(numbers) if numbers else pa.array([], pa.int64())


def _position(place: Column, block_start: Column) -> Column:
    """Number of a record in its file, from 0; in a large plain file read in blocks: the block's offset plus the number in the block."""
    counted: Column = _count_up.asNondeterministic()(place, block_start)
    return counted


def add_fields(arrived: DataFrame, files: Files) -> DataFrame:
    """Add `fields`: a map from the source's column names to their text, null where the record cannot be read; drop csv headers.

    Same grain as `arrived`, less the header lines. Needs a batch frame for csv (it looks at the headers).
    """
    place = {hidden(name): name for name in ("source_file", "file_modified_at", "row_number")}
    placed = [F.col(ours).alias(name) for ours, name in place.items()]
    if files.format in ("json", "csv"):
        lines = arrived.select(F.col("value").alias("line"), *placed)
        return _add_csv_fields(lines, files) if files.format == "csv" else lines.withColumn("fields", _parse_json(F.col("line")))
    texts = [(F.lit(name), _as_text(arrived, name)) for name in arrived.columns if name not in place]
    fields = F.create_map(*[part for pair in texts for part in pair])
    return arrived.select(F.lit(None).cast("string").alias("line"), *placed, fields.alias("fields"))


def _parse_json(line: Column) -> Column:
    """Null, too, where a line is not UTF-8, of which Spark would guess letters, or more than one record, of which it would read one.

    Nearly every line ends with its only closing brace, and is the same once it was taken apart there as text, where letters that are none
    would have become others: only another one is looked at closely, which takes as long as reading it.
    """
    is_plain = F.concat(F.split(line, "}", 2)[0], F.lit("}")) == line
    alone = F.regexp_replace(line, r",\s*$", "")  # as a line of a list
    records = F.from_json(F.concat(F.lit("["), alone, F.lit("]")), f"array<{_TEXTS}>")
    return F.when(is_plain | (F.is_valid_utf8(line) & (F.size(records) == 1)), F.from_json(line, _TEXTS))


def _as_text(rows: DataFrame, name: str) -> Column:
    kind = rows.schema[name].dataType.typeName()
    column = F.col(f"`{name}`")
    if kind == "timestamp":  # a moment, which the zone of the mapping must not move; sessions are in UTC
        return F.concat(column.cast("string"), F.lit("Z"))
    return F.to_json(column) if kind in ("array", "map", "struct") else column.cast("string")


def _add_csv_fields(lines: DataFrame, files: Files) -> DataFrame:
    """Fields by each file's own header: the line that names all columns the mapping uses. A file without one cannot be read."""
    is_header = F.lit(True)
    edge = rf"\s*\"?\s*(\Q{files.separator}\E|$)"
    for name in files.used:  # as a whole field: a line of data may well contain the word
        whole = rf"(^\ufeff?|\Q{files.separator}\E)\s*\"?\s*\Q{name}\E{edge}"
        is_header = is_header & F.contains(F.col("line"), F.lit(name)) & F.rlike(F.col("line"), F.lit(whole))
    headed = [(row["line"], row["source_file"]) for row in lines.where(is_header).select("line", "source_file").distinct().collect()]
    fields = F.lit(None).cast(_TEXTS)
    for header in sorted({line for line, _ in headed}):
        with_header = [file for line, file in headed if line == header]
        fields = F.when(F.col("source_file").isin(with_header), _parse_line(header, files.separator)).otherwise(fields)
    return lines.where(~is_header).withColumn("fields", F.when(F.is_valid_utf8("line"), fields))


def _parse_line(header: str, separator: str) -> Column:
    names = [name.strip() for name in next(csv.reader([header.lstrip("\ufeff")], delimiter=separator, skipinitialspace=True))]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise UserError(f"csv header {header!r}: {', '.join(twice)} twice")
    unread = hidden("unread")
    schema = ", ".join(f"{_quoted(name)} string" for name in [*names, unread])
    options = {"sep": separator, "columnNameOfCorruptRecord": unread, "escape": '"'}
    parsed = F.from_csv(F.col("line"), schema, options)
    pairs = [part for name in names for part in (F.lit(name), parsed.getField(name))]
    return F.when(parsed.getField(unread).isNull(), F.create_map(*pairs))


def _quoted(name: str) -> str:
    escaped = name.replace("`", "``")
    return f"`{escaped}`"
