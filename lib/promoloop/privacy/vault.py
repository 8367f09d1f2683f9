"""The vault: what names a person, sealed with AES-256-GCM and bound to its pseudonym.

sealed = nonce (12 random bytes) | AES-GCM(key, nonce, JSON of field to text, associated data = pseudonym) | tag (16 bytes). A row moved
to another pseudonym, or changed by a bit, does not open. The AES key is derived from the secret `privacy.vault_key` refers to, which is
another one than that of the pseudonyms: who may join tables need not be able to read names. With random nonces of 96 bits one key is
good for 2^32 rows (NIST SP 800-38D, 8.3).
"""

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import arrow_udf

from promoloop.errors import UserError
from promoloop.privacy.keys import mark_of, purpose_key
from promoloop.privacy.pseudonyms import wrap
from promoloop.privacy.sealing import NONCE_BYTES, seal


def add_sealed(rows: DataFrame, secret: bytes) -> DataFrame:
    """`rows` with `sealed` (binary; null where there is nothing to keep) and `key_mark` in place of the map `identifiers`. Same rows.

    `user_id` must hold the pseudonym by now. Sealing the same twice gives other bytes: the nonce is drawn anew.
    """
    key = purpose_key(secret, "vault")

    @arrow_udf(T.BinaryType())  # type: ignore[call-overload,untyped-decorator]
    def seal(pseudonyms: pa.Array, texts: pa.Array) -> pa.Array:
        cipher, pairs = _cipher(key), zip(pseudonyms.to_pylist(), texts.to_pylist(), strict=True)
        return pa.array([None if None in pair else _seal(cipher, *pair) for pair in pairs], pa.binary())

    text = F.when(F.size("identifiers") > 0, F.to_json("identifiers"))
    sealed = seal.asNondeterministic()(F.col("user_id"), text)
    return rows.withColumn("sealed", sealed).withColumn("key_mark", F.lit(mark_of(secret))).drop("identifiers")


def unsealed(vault: DataFrame, secret: bytes) -> DataFrame:
    """What the vault keeps: user_id, identifiers (map of field to text). Fails on a row that was moved or changed."""
    opened = _opened(F.col("user_id"), F.col("sealed"), secret)
    return vault.select("user_id", F.from_json(opened, "map<string,string>").alias("identifiers"))


def reseal(vault: DataFrame, newer: bytes, secret: bytes) -> DataFrame:
    """Rows of the vault under pseudonyms wrapped by `newer`: opened and sealed again within one function, never in the clear between."""
    key = purpose_key(secret, "vault")

    @arrow_udf(T.BinaryType())  # type: ignore[call-overload,untyped-decorator]
    def again(before: pa.Array, after: pa.Array, sealed: pa.Array) -> pa.Array:
        cipher, rows = _cipher(key), zip(before.to_pylist(), after.to_pylist(), sealed.to_pylist(), strict=True)
        return pa.array([_seal(cipher, new, _open(cipher, old, box)) for old, new, box in rows], pa.binary())

    wrapped = wrap(F.col("user_id"), newer)
    return vault.withColumn("_wrapped", wrapped).select(
        F.col("_wrapped").alias("user_id"),
        again.asNondeterministic()(F.col("user_id"), F.col("_wrapped"), F.col("sealed")).alias("sealed"),
        "key_mark",
    )


def sealed_under(vault: DataFrame, secret: bytes) -> None:
    """Raise UserError where any row of the vault is sealed under another secret than `secret`."""
    marks = {row["key_mark"] for row in vault.select("key_mark").distinct().collect()}
    if marks - {mark_of(secret)}:
        several = f" (it holds rows of {len(marks)} keys: forget those users, or remove the vault and send the users again)"
        raise UserError(f"privacy.vault_key: not the key the vault was sealed with{several if len(marks) > 1 else ''}")


def _opened(pseudonym: Column, sealed: Column, secret: bytes) -> Column:
    key = purpose_key(secret, "vault")

    @arrow_udf(T.StringType())  # type: ignore[call-overload,untyped-decorator]
    def opened(pseudonyms: pa.Array, boxes: pa.Array) -> pa.Array:
        cipher = _cipher(key)
        return pa.array([_open(cipher, *pair) for pair in zip(pseudonyms.to_pylist(), boxes.to_pylist(), strict=True)], pa.string())

    column: Column = opened(pseudonym, sealed)
    return column


def _cipher(key: bytes) -> AESGCM:
    """Made where it is used: the class cannot travel to the workers in a closure."""
    return AESGCM(key)


def _seal(cipher: AESGCM, pseudonym: str, text: str) -> bytes:
    return seal(cipher, text.encode(), pseudonym.encode())


def _open(cipher: AESGCM, pseudonym: str, box: bytes) -> str:
    try:
        return cipher.decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], pseudonym.encode()).decode()
    except InvalidTag:
        raise ValueError("a row of the vault does not open: another key, another user, or changed") from None


def seal_text(secret: bytes, purpose: str, bound_to: str, text: str) -> bytes:
    """A short text of the driver sealed the same way, for one purpose and bound to `bound_to`."""
    return _seal(_cipher(purpose_key(secret, purpose)), bound_to, text)


def open_text(secret: bytes, purpose: str, bound_to: str, box: bytes) -> str:
    """The text of `seal_text`. Raises ValueError where it does not open."""
    return _open(_cipher(purpose_key(secret, purpose)), bound_to, box)
