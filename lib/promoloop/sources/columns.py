"""From a source's fields to our columns: expressions, times, types; and what did not convert, kept in `_rescued`."""

from collections.abc import Mapping
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from promoloop.sources.mapping import PLACE, Files
from promoloop.sources.reading import add_fields, hidden

_MAIL = r"[\w.+-]+@[\w-]+\.[\w.]+"
_PHONES = (
    r"\+\d[\d ().-]{6,}\d",
    r"\b0\d{2,4}[ /-]\d{5,}\b",
    r"\b0\d([ .-]?\d\d){4}\b",  # 06 12 34 56 78
    r"\b1[3-9]\d{9}\b",  # 138 0000 1234 without its blanks
    r"(\(\d{3}\) ?|\b\d{3}-)\d{3}-\d{4}\b",  # (212) 555-0100
)
_PHONE = "|".join(_PHONES)
# a day such as 05-12-2011 ends like an offset and is none: digits need a time before them
_OFFSET = r"(Z|UTC|GMT|(:\d\d|[T ]\d{4,6})([.,]\d+)?( ?[AaPp][Mm])? ?(UTC|GMT|UT)?[+-]\d\d(:?\d\d)?)$"
# words in names of fields that say who somebody is or where: what such a field holds has no pattern of its own
_WHO = (
    r"name|mail|phone|mobile|(?<![a-z])tel|addr|street|city|zip|post_?(al|code)|birth|customer|client|person|contact|recipient"
    r"|stra(ss|ß)e|kunde|geburt|pr[eé]nom|(?<![a-z])nom(?![a-z])|adresse"
)
_NEW = "new"
_UNREAD = "unread"
_NUMBERS = ("seconds", "milliseconds")  # since 1970
_MILLISECONDS = (-62_135_596_800_000, 253_402_300_799_999)  # of the years 1 to 9999: of others no timestamp can be made
_FAILED = "failed"
_FIELDS, _HAS_NEW = hidden("fields"), hidden("has_new")
_STAMP = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?Z$"  # as reading writes what is a time in its file


def add_columns(arrived: DataFrame, files: Files, schema: T.StructType, as_of: str, has_identifiers: bool = False) -> DataFrame:
    """One row of `schema` per record of the entity, with its place (batch_id, source_file, row_number, received_at) and `_rescued`.

    `arrived` is what `reading.add_fields` returns. Null where the mapping says nothing. `_rescued` is JSON, null for a sound record:
    `failed` (our column: the text that is not of its type), `new` (fields the mapping does not know), `unread` (the shape of a
    record that cannot be read: letters become x, digits 9, so that it names nobody). `has_identifiers`: add `identifiers`, the map of the
    fields the mapping calls `vault`, in the clear: seal it at once.
    """
    placed = (
        arrived.withColumn("batch_id", F.expr(files.batch))
        .withColumn("received_at", F.expr(files.received_at).cast("timestamp"))
        .withColumn("as_of", F.lit(as_of).cast("date"))
    )
    theirs = {name.lower() for name in files.fields}
    shown = [name for name in (*PLACE, "file_modified_at", "as_of") if name not in theirs]  # a field of that name stands for itself
    kept = {hidden(name): name for name in (*PLACE, "line", "fields")}
    given = {name: hidden(f"given_{number}") for number, name in enumerate(files.fields)}
    looked_up = [F.col("fields")[name].alias(text) for name, text in given.items()]  # each once
    found = placed.select(*[F.col(name).alias(ours) for ours, name in kept.items()], *shown, *looked_up)
    texts_of = [F.nullif(F.trim(text), F.lit("")).alias(name) for name, text in given.items()]
    named = found.select(*kept, *shown, *texts_of, _has_new(given).alias(_HAS_NEW))
    if files.only is not None:
        named = named.where(F.col(_FIELDS).isNull() | F.coalesce(F.expr(files.only), F.lit(False)))
    raw = {name: F.expr(expression) for name, expression in files.columns.items()}
    vault = [_identifiers(files).alias("identifiers")] if has_identifiers else []
    texts = named.select(*kept, _HAS_NEW, *[c.alias(hidden(n)) for n, c in raw.items()], *vault)
    kinds = {field.name: field.dataType for field in schema}
    typed = {name: _convert(texts, name, kinds[name], files) for name in raw}
    failed = {name: typed[name].isNull() & F.col(hidden(name)).isNotNull() for name in raw if not isinstance(kinds[name], T.StringType)}
    told = {*raw, *PLACE, "source", "_rescued"}
    absent = [F.lit(None).cast(field.dataType).alias(field.name) for field in schema if field.name not in told]
    return texts.select(
        *[F.col(hidden(name)).alias(name) for name in PLACE],
        *[column.alias(name) for name, column in typed.items()],
        *absent,
        _rescued(files, failed).alias("_rescued"),
        *(["identifiers"] if has_identifiers else []),
    )


def read_columns(arrived: DataFrame, files: Files, schema: T.StructType, as_of: date, has_identifiers: bool = False) -> DataFrame:
    """Records of `reading.arrivals` (a batch, or one take of a stream) as rows of `schema`: `add_fields`, then `add_columns`."""
    return add_columns(add_fields(arrived, files), files, schema, as_of.isoformat(), has_identifiers)


def records_schema(schema: T.StructType) -> T.StructType:
    """Columns the suite of an entity speaks of: the table's, and what is known of the record."""
    return T.StructType([*schema.fields, T.StructField("_rescued", T.StringType()), T.StructField("is_key_reused", T.BooleanType())])


def redact(text: Column) -> Column:
    """`text` with mail addresses and phone numbers struck out."""
    return F.regexp_replace(F.regexp_replace(text, _MAIL, "[mail]"), _PHONE, "[phone]")


def _convert(texts: DataFrame, name: str, kind: T.DataType, files: Files) -> Column:
    text = F.col(hidden(name))
    if name == "event_type":
        words = {word: ours for ours, theirs in files.vocabulary.items() for word in theirs}
        pairs = [part for word, ours in words.items() for part in (F.lit(word), F.lit(ours))]
        return F.coalesce(F.create_map(*pairs)[text], text) if pairs else text
    if name == "text":
        return redact(text)
    if not isinstance(texts.schema[hidden(name)].dataType, T.StringType):
        return text.try_cast(kind)
    if isinstance(kind, T.TimestampType):
        return _time(text, files)
    if isinstance(kind, T.DateType):
        return _date(text, files)
    if isinstance(kind, T.IntegerType | T.LongType):  # 2.0 is a whole number, 2.5 is not
        number = text.try_cast("decimal(38,6)")
        return F.when(number == F.floor(number), number.try_cast(kind))
    if isinstance(kind, T.ArrayType):
        return F.from_json(text, kind.simpleString())
    return text if isinstance(kind, T.StringType) else text.try_cast(kind)


def _date(text: Column, files: Files) -> Column:
    """The day as it is written (with an offset, and by a pattern: that of UTC); of a number, the day it was in the files' zone."""
    readings = [text.try_cast("date")]
    for form in files.times:
        if form in _NUMBERS:
            readings.append(F.from_utc_timestamp(_of_number(text, form), files.zone).cast("date"))
        elif form != "ISO":
            readings.append(F.try_to_timestamp(text, F.lit(form)).cast("date"))
    return F.coalesce(*readings)


def _of_number(text: Column, form: str) -> Column:
    number = (text.try_cast("double") * 1000).try_cast("bigint") if form == "seconds" else text.try_cast("bigint")
    return F.when(number.between(*_MILLISECONDS), F.timestamp_millis(number))


def _time(text: Column, files: Files) -> Column:
    readings = []
    for form in files.times:
        if form in _NUMBERS:
            readings.append(_of_number(text, form))
        else:
            local = F.try_to_timestamp(text) if form == "ISO" else F.try_to_timestamp(text, F.lit(form))
            has_offset = F.rlike(text, F.lit(_OFFSET))
            readings.append(local if files.zone == "UTC" else F.when(has_offset, local).otherwise(F.to_utc_timestamp(local, files.zone)))
    if files.format in ("parquet", "delta") and "ISO" not in files.times:  # `times` speaks of text
        readings.append(F.when(F.rlike(text, F.lit(_STAMP)), F.try_to_timestamp(text)))
    return F.coalesce(*readings)


def _identifiers(files: Files) -> Column:
    pairs = [part for name in files.vault for part in (F.lit(name), F.col(f"`{name}`"))]
    return F.map_filter(F.create_map(*pairs), lambda _, value: value.isNotNull())


def _has_new(given: Mapping[str, str]) -> Column:
    """Whether a record says anything in other fields than those in `given` (its text by field); null where it cannot be read."""
    stated = reduce(Column.__add__, [F.when(F.col(text).isNotNull(), 1).otherwise(0) for text in given.values()])
    others = F.array_except(F.map_keys(_FIELDS), F.array(*map(F.lit, given)))
    is_new = F.exists(others, lambda name: F.col(_FIELDS)[name].isNotNull())
    return F.when(F.size(_FIELDS) == stated, False).otherwise(is_new)  # as many fields as known ones: no need to compare


def _rescued(files: Files, failed: Mapping[str, Column]) -> Column:
    """JSON of what was left over; personal fields never, and mail addresses and phone numbers struck out of the rest.

    Of a new field whose name, or a name within it, says that it tells of a person (`_WHO`), the shape alone. `failed`: by column, whether
    its text is not of its type; of one made from personal fields the shape of the text is kept.
    """
    known = F.array(*[F.lit(name) for name in (*files.fields, *files.personal)])
    has_new = F.coalesce(_HAS_NEW, F.lit(False))
    new = F.map_filter(_FIELDS, lambda name, value: value.isNotNull() & ~F.array_contains(known, name))
    new = F.transform_values(new, _new_text)
    has_failed = reduce(Column.__or__, failed.values(), F.lit(False))
    texts = {name: F.col(hidden(name)).cast("string") for name in failed}
    said = {name: _shape(text) if files.is_personal(name) else text for name, text in texts.items()}
    pairs = [F.when(is_so, F.struct(F.lit(name).alias("key"), said[name].alias("value"))) for name, is_so in failed.items()]
    failures = F.array_compact(F.array(*pairs)) if pairs else F.array().cast("array<struct<key:string,value:string>>")
    unread = F.coalesce(_shape(F.col(hidden("line"))), F.lit(""))
    leftover = F.to_json(
        F.struct(
            F.when(F.col(_FIELDS).isNull(), unread).alias(_UNREAD),  # first: by its place rules tell it from a field
            F.when(has_failed, F.map_from_entries(failures)).alias(_FAILED),
            F.when(has_new, new).alias(_NEW),
        )
    )
    return F.when(F.col(_FIELDS).isNull() | has_new | has_failed, redact(leftover))  # a sound record is spared all of it


def _new_text(name: Column, text: Column) -> Column:
    """`text` of a new field, or its shape where the field, or one within it, is named as those of persons are."""
    is_of_person = F.rlike(name, F.lit(rf"(?iu)({_WHO})")) | F.rlike(text, F.lit(rf'(?iu)"[^"]*({_WHO})[^"]*"\s*:'))
    return F.when(is_of_person, _shape(text)).otherwise(text)


def _shape(text: Column) -> Column:
    """`text` with x for every letter and 9 for every digit: it shows what does not parse, and names nobody."""
    return F.regexp_replace(F.regexp_replace(text, r"\p{L}", "x"), r"\d", "9")
