"""Pseudonyms: a keyed hash in place of every user id, so that no table of ours names a person.

pseudonym = hex(HMAC-SHA-256(key, raw id)), 64 characters; after re-keying, the same of the pseudonym before under the newer secret. The
hash runs in a vectorised function that carries the key in its closure: a native expression (nested sha2 calls) would print the padded
key in every query plan, event log and UI page. Each Arrow batch is dictionary-encoded first, and the pseudonyms of the ids seen lately are
remembered, so the hash runs for an id that is new, not for every row.
"""

import hmac
import re
from collections.abc import Callable, Collection, Iterator

import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import arrow_udf

from promoloop.privacy.keys import Key

_REMEMBERED = 300_000  # some 60 MB of a Python worker


def pseudonymise(raw: Column, key: Key) -> Column:
    """The pseudonym of `raw` (a string column; null stays null), 64 hex characters."""
    return _per_distinct(raw, lambda value: pseudonym_of(value, key), remembered=_REMEMBERED)


def pseudonym_of(raw: str, key: Key) -> str:
    """The pseudonym of one id."""
    for link in key.links:
        raw = hmac.digest(link, raw.encode(), "sha256").hex()
    return raw


def pseudonymise_all(rows: DataFrame, columns: Collection[str], key: Key) -> DataFrame:
    """`rows` with pseudonyms in place of the text of `columns`. Same rows."""
    return rows.withColumns({name: pseudonymise(F.col(name), key) for name in columns})


def wrap(pseudonym: Column, secret: bytes) -> Column:
    """The pseudonym under a key whose newest link `secret` is, from the one under the key before."""
    return pseudonymise(pseudonym, Key((secret,)))


def wrap_all(rows: DataFrame, named: Collection[str], secret: bytes) -> DataFrame:
    """`rows` with every pseudonym in columns `named`, and under those names in a JSON `record`, wrapped by `secret`. Same rows."""
    wrapped = {name: wrap(F.col(name), secret) for name in named if name in rows.columns}
    if "record" in rows.columns:
        wrapped["record"] = _wrap_in_json(F.col("record"), named, secret)
    return rows.withColumns(wrapped) if wrapped else rows


def about(columns: Collection[str], pseudonyms: Collection[str]) -> str | None:
    """SQL that is true on a row about one of `pseudonyms`, by the table's user_id or its JSON `record`; null: it holds no users."""
    quoted = [f"'{pseudonym}'" for pseudonym in sorted(pseudonyms)]
    if "user_id" in columns:
        return f"user_id IN ({', '.join(quoted)})"
    return " OR ".join(f"contains(record, {text})" for text in quoted) if "record" in columns else None


def _wrap_in_json(record: Column, named: Collection[str], secret: bytes) -> Column:
    """A quote within a JSON text is escaped, so `"user_id":"..."` stands for the field alone, whatever a review says."""
    field = re.compile(rf'(?<!\\)"({"|".join(sorted(named))})":"([0-9a-f]{{64}})"')

    def changed(text: str) -> str:
        return field.sub(lambda found: f'"{found[1]}":"{hmac.digest(secret, found[2].encode(), "sha256").hex()}"', text)

    return _per_distinct(record, changed)


def _per_distinct(texts: Column, change: Callable[[str], str], remembered: int = 0) -> Column:
    """`change` of each text; that of up to `remembered` texts seen lately is not worked out again."""

    @arrow_udf(T.StringType())  # type: ignore[call-overload,untyped-decorator]
    def changed(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
        known: dict[str, str] = {}
        for values in batches:
            encoded = values.dictionary_encode()
            distinct = encoded.dictionary.to_pylist()
            if len(known) + len(distinct) > remembered:
                known = {}
            known.update((text, change(text)) for text in distinct if text not in known)
            yield pa.array(map(known.__getitem__, distinct), pa.string()).take(encoded.indices)

    column: Column = changed(texts.cast("string"))
    return column


def lines_naming(spark: SparkSession, folder: str, names: Collection[str]) -> int:
    """Lines of all files below `folder` that contain any of `names`; 0 where there is no such folder."""
    try:
        lines = spark.read.option("recursiveFileLookup", True).text(folder)
    except AnalysisException:
        return 0
    return lines.where(F.exists(F.array(*map(F.lit, names)), lambda name: F.contains("value", name))).count()
