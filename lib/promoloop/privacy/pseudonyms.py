"""Pseudonyms: a keyed hash in place of every user id, so that no table of ours names a person.

pseudonym = hex(HMAC-SHA-256(key, raw id)), 64 characters; after re-keying, the same of the pseudonym before under the newer secret.
Spark works it out itself, HMAC(key, text) = H((key ⊕ opad) ‖ H((key ⊕ ipad) ‖ text)) (RFC 2104, section 2), without moving rows to Python.
The padded keys come as data, by a query of a frame of one row: as literals they would stand in every query plan, event log and UI page.
"""

import hashlib
import hmac
import re
from collections.abc import Collection

import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import arrow_udf

from promoloop.privacy.keys import Key
from promoloop.privacy.sealing import seal

_BLOCK = 64  # bytes of a block of SHA-256
_INNER, _OUTER = 0x36, 0x5C


def pseudonymise(raw: Column, key: Key) -> Column:
    """The pseudonym of `raw` (null stays null), 64 hex characters. Needs an active session."""
    return _hashed(raw, _pads(SparkSession.active(), key))


def _hashed(raw: Column, pads: DataFrame) -> Column:
    made = raw.cast("string")
    for names in zip(pads.columns[::2], pads.columns[1::2], strict=True):
        inner, outer = (pads.select(name).scalar() for name in names)
        made = F.sha2(F.concat(outer, F.unhex(F.sha2(F.concat(inner, made.cast("binary")), 256))), 256)
    return made


def _pads(spark: SparkSession, key: Key) -> DataFrame:
    """One row: of each link of `key` the secret with the inner pad, and with the outer one.

    Made from Arrow it is a local relation, so no job asks for it. But on its way to Java it may lie in a file for a moment: it travels
    sealed, and the key to that, made for this once, is all a plan shows.
    """
    once = AESGCM.generate_key(256)
    padded = [bytes(byte ^ pad for byte in _block(secret)) for secret in key.links for pad in (_INNER, _OUTER)]
    sealed = pa.table({f"pad_{number}": [seal(AESGCM(once), pad)] for number, pad in enumerate(padded)})
    return spark.createDataFrame(sealed).select(*(F.aes_decrypt(name, F.lit(once)).alias(name) for name in sealed.column_names))


def _block(secret: bytes) -> bytes:
    return (secret if len(secret) <= _BLOCK else hashlib.sha256(secret).digest()).ljust(_BLOCK, b"\0")


def pseudonym_of(raw: str, key: Key) -> str:
    """The pseudonym of one id."""
    for link in key.links:
        raw = hmac.digest(link, raw.encode(), "sha256").hex()
    return raw


def pseudonymise_all(rows: DataFrame, columns: Collection[str], key: Key) -> DataFrame:
    """`rows` with pseudonyms in place of the text of `columns`. Same rows."""
    if not columns:
        return rows
    pads = _pads(rows.sparkSession, key)
    return rows.withColumns({name: _hashed(F.col(name), pads) for name in columns})


def wrap(pseudonym: Column, secret: bytes) -> Column:
    """The pseudonym under a key whose newest link `secret` is, from the one under the key before."""
    return pseudonymise(pseudonym, Key((secret,)))


def wrap_all(rows: DataFrame, named: Collection[str], secret: bytes) -> DataFrame:
    """`rows` with every pseudonym in columns `named`, and under those names in a JSON `record`, wrapped by `secret`. Same rows."""
    there = [name for name in named if name in rows.columns]
    wrapped: dict[str, Column] = {}
    if there:
        pads = _pads(rows.sparkSession, Key((secret,)))
        wrapped = {name: _hashed(F.col(name), pads) for name in there}
    for name in set(there) - {"user_id"}:  # of two sets one may have keyed a column and the other not: what is no pseudonym stays
        wrapped[name] = F.when(F.rlike(name, F.lit("^[0-9a-f]{64}$")), wrapped[name]).otherwise(F.col(name))
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

    @arrow_udf(T.StringType())  # type: ignore[call-overload,untyped-decorator]
    def in_each(records: pa.Array) -> pa.Array:
        return pa.array([None if text is None else changed(text) for text in records.to_pylist()], pa.string())

    column: Column = in_each(record)
    return column


def lines_naming(spark: SparkSession, folder: str, names: Collection[str]) -> int:
    """Lines of all files below `folder` that contain any of `names`; 0 where there is no such folder."""
    try:
        lines = spark.read.option("recursiveFileLookup", True).text(folder)
    except AnalysisException:
        return 0
    return lines.where(F.exists(F.array(*map(F.lit, names)), lambda name: F.contains("value", name))).count()
