"""Pseudonyms: a keyed hash in place of every user id, so that no table of ours names a person.

pseudonym = hex(HMAC-SHA-256(key, raw id)), 64 characters. The hash runs in a vectorised function that carries the key in its
closure: a native expression (nested sha2 calls) would print the padded key in every query plan, event log and UI page. Each Arrow
batch is dictionary-encoded first, so the hash runs once per distinct id of a batch, not once per row.
"""

import hmac
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import arrow_udf

from promoloop.errors import UserError
from promoloop.settings import Settings

_DEFAULT_KEY = b"promoloop: the default key, for made-up users on a laptop only"
_MIN_KEY_BYTES = 32


def pseudonymise(raw: Column, key: bytes) -> Column:
    """The pseudonym of `raw` (a string column; null stays null), 64 hex characters."""

    @arrow_udf(T.StringType())  # type: ignore[call-overload,untyped-decorator]
    def pseudonym(ids: pa.Array) -> pa.Array:
        encoded = ids.dictionary_encode()
        hashes = [hmac.digest(key, value.encode(), "sha256").hex() for value in encoded.dictionary.to_pylist()]
        return pa.array(hashes, pa.string()).take(encoded.indices)

    hashed: Column = pseudonym(raw.cast("string"))
    return hashed


def pseudonymise_all(rows: DataFrame, columns: Collection[str], key: bytes) -> DataFrame:
    """`rows` with pseudonyms in place of the text of `columns`. Same rows."""
    return rows.withColumns({name: pseudonymise(F.col(name), key) for name in columns})


def about(columns: Collection[str], pseudonyms: Collection[str]) -> str | None:
    """SQL that is true on a row about one of `pseudonyms`, by the table's user_id or its JSON `record`; null: it holds no users."""
    quoted = [f"'{pseudonym}'" for pseudonym in sorted(pseudonyms)]
    if "user_id" in columns:
        return f"user_id IN ({', '.join(quoted)})"
    return " OR ".join(f"contains(record, {text})" for text in quoted) if "record" in columns else None


def load_key(settings: Settings) -> bytes:
    """The pseudonym key that `privacy.key` refers to: `file:PATH` (or a plain path), `env:NAME` or `secret:SCOPE/NAME` (Databricks).

    Without a reference the environments local and ci use a default key, and every other one is refused. Raises UserError where
    the key is missing or shorter than 32 bytes. The key itself is never logged, printed or written.
    """
    reference = settings.privacy.key
    if reference is None:
        if settings.run.environment in ("local", "ci"):
            return _DEFAULT_KEY
        raise UserError(
            f"privacy.key: environment {settings.run.environment} needs a key of its own (file:PATH, env:NAME or secret:SCOPE/NAME)"
        )
    kind, _, name = reference.partition(":")
    if kind == "env":
        found = os.environ.get(name, "").encode()
    elif kind == "secret":
        found = _secret(name)
    else:
        path = Path(name if kind == "file" else reference)
        if not path.is_file():
            raise UserError(f"privacy.key: no file {str(path)!r}")
        found = path.read_bytes().rstrip(b"\r\n")
    if len(found) < _MIN_KEY_BYTES:
        raise UserError(f"privacy.key: {reference!r} holds {len(found)} bytes, at least {_MIN_KEY_BYTES} are needed")
    return found


def _secret(name: str) -> bytes:
    """A secret of Databricks, `SCOPE/NAME`."""
    scope, slash, key = name.partition("/")
    spark = SparkSession.getActiveSession()
    try:
        from pyspark.dbutils import DBUtils  # type: ignore[import-not-found]  # there on Databricks alone
    except ImportError:
        raise UserError(f"privacy.key: secret:{name} can be read on Databricks alone") from None
    if not slash:
        raise UserError(f"privacy.key: secret:{name} is not of the form secret:SCOPE/NAME")
    dbutils: Any = DBUtils(spark)
    return str(dbutils.secrets.get(scope, key)).encode()
