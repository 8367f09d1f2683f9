"""The key ring: which secret the tables' pseudonyms are under, and the secrets before it, sealed under the newest.

A pseudonym cannot be turned back into the id it was made of, so re-keying wraps it: HMAC(new, HMAC(old, raw id)). New arrivals need
the old secrets too; they are kept in the ring, sealed under the newest one, so that a person has one key to look after and can destroy
the file of the old. Before the first re-keying there is no ring.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame, Row

from promoloop.errors import UserError
from promoloop.privacy.keys import Key, load_key, mark_of
from promoloop.privacy.vault import open_text, seal_text
from promoloop.settings import Settings

_PURPOSE = "key ring"


def key_in_use(settings: Settings, ring: DataFrame) -> Key:
    """The key of the pseudonyms as the tables have them now, from `privacy.key` and the ring (rows of table key_ring, at most two).

    Raises UserError where `privacy.key` is not the one the tables are under, or a re-keying is unfinished.
    """
    return key_of_ring(settings, [row.asDict() for row in ring.collect()])


def refuse_unfinished(rows: Iterable[Mapping[str, Any] | Row]) -> None:
    """Raise UserError where, by the ring's `rows`, a re-keying is unfinished: one table may be under the next key, and another not."""
    if any(not row["is_complete"] for row in rows):
        raise UserError("a re-keying is unfinished: run promoloop rekey again, with the same --new-key")


def key_of_ring(settings: Settings, rows: Sequence[Mapping[str, Any]]) -> Key:
    """`key_in_use` of the ring's rows."""
    refuse_unfinished(rows)
    return _key_of(settings, rows)


def is_under(ring: DataFrame, secret: bytes) -> bool:
    """Whether the tables are under `secret` already, all of them."""
    return any(row["is_complete"] and row["key_mark"] == mark_of(secret) for row in ring.collect())


def started(settings: Settings, ring: DataFrame, secret: bytes) -> list[dict[str, Any]]:
    """Rows of the ring for a re-keying to `secret` that begins or goes on: the one in use, and the unfinished one.

    Raises UserError where another one is unfinished, or `secret` was in use before.
    """
    rows = ring.collect()
    others = [row for row in rows if not row["is_complete"] and row["key_mark"] != mark_of(secret)]
    if others:
        raise UserError("privacy.new_key: a re-keying to another key is unfinished: finish it first")
    done = [row for row in rows if row["is_complete"]]
    key = _key_of(settings, done)
    if secret in key.links:
        raise UserError("privacy.new_key: this key was in use before; take a new one")
    return [*(row.asDict() for row in done), _row(key.then(secret), is_complete=False)]


def finished(settings: Settings, ring: DataFrame, secret: bytes) -> list[dict[str, Any]]:
    """The one row of the ring once every table is under `secret`."""
    return [_row(_key_of(settings, [row for row in ring.collect() if row["is_complete"]]).then(secret), is_complete=True)]


def _key_of(settings: Settings, done: Sequence[Mapping[str, Any] | Row]) -> Key:
    first = load_key(settings)
    if not done:
        return first
    (row,) = done
    mark = mark_of(first.newest)
    if row["key_mark"] != mark:
        raise UserError("privacy.key: not the key these tables are under; they were re-keyed since")
    earlier = json.loads(open_text(first.newest, _PURPOSE, mark, bytes(row["sealed"])))
    return Key((*(base64.b64decode(secret) for secret in earlier), first.newest))


def _row(key: Key, is_complete: bool) -> dict[str, Any]:
    mark = mark_of(key.newest)
    earlier = json.dumps([base64.b64encode(secret).decode() for secret in key.links[:-1]])
    sealed = seal_text(key.newest, _PURPOSE, mark, earlier)
    return {"key_mark": mark, "count_earlier": len(key.links) - 1, "sealed": sealed, "is_complete": is_complete}
