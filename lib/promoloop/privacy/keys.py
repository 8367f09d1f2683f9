"""Keys by reference: `file:PATH` (or a plain path), `env:NAME` or `secret:SCOPE/NAME` (Databricks). Never logged, printed or written."""

import hmac
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from promoloop.errors import UserError
from promoloop.settings import Settings

_DEFAULT_KEY = b"promoloop: the default key, for made-up users on a laptop only"
_DEFAULT_VAULT_KEY = b"promoloop: the default vault key, for made-up users on a laptop only"
_MIN_KEY_BYTES = 32


@dataclass(frozen=True)
class Key:
    """The key of the pseudonyms: one secret, or after re-keying several, oldest first, each wrapping what the one before it made."""

    links: tuple[bytes, ...] = field(repr=False)

    @property
    def newest(self) -> bytes:
        """The secret in charge: the one `privacy.key` refers to."""
        return self.links[-1]

    def then(self, secret: bytes) -> "Key":
        """This key, wrapped by a newer secret."""
        return Key((*self.links, secret))


def mark_of(secret: bytes) -> str:
    """16 hex characters that tell one secret from another and say nothing of it."""
    return hmac.digest(secret, b"promoloop: mark of a key", "sha256").hex()[:16]


def purpose_key(secret: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, so that no secret serves two."""
    return hmac.digest(secret, f"promoloop: {purpose}".encode(), "sha256")


def load_key(settings: Settings) -> Key:
    """The pseudonym key that `privacy.key` refers to, as it is before any re-keying (see `ring.key_in_use`).

    Without a reference the environments local and ci use a default key, unless Spark's master is a cluster's; every other one is
    refused. Raises UserError where the key is missing or shorter than 32 bytes.
    """
    return Key((_load(settings, "privacy.key", settings.privacy.key, _DEFAULT_KEY),))


def load_new_key(settings: Settings) -> bytes:
    """The secret that `privacy.new_key` refers to; it never has a default. Raises UserError as `load_key`."""
    if settings.privacy.new_key is None:
        raise UserError("privacy.new_key: name the key to change to (file:PATH, env:NAME or secret:SCOPE/NAME)")
    return _load(settings, "privacy.new_key", settings.privacy.new_key, b"")


def load_vault_key(settings: Settings) -> bytes:
    """The secret that `privacy.vault_key` refers to. Default and errors as `load_key`."""
    return _load(settings, "privacy.vault_key", settings.privacy.vault_key, _DEFAULT_VAULT_KEY)


def _load(settings: Settings, setting: str, reference: str | None, default: bytes) -> bytes:
    if reference is None:
        place = _beyond_a_laptop(settings)
        if place is None:
            return default
        raise UserError(f"{setting}: {place} needs a key of its own (file:PATH, env:NAME or secret:SCOPE/NAME)")
    kind, _, name = reference.partition(":")
    if kind == "env":
        found = os.environ.get(name, "").encode()
    elif kind == "secret":
        found = _secret(setting, name)
    else:
        path = Path(name if kind == "file" else reference)
        if not path.is_file():
            raise UserError(f"{setting}: no file {str(path)!r}")
        found = path.read_bytes().rstrip(b"\r\n")
    if len(found) < _MIN_KEY_BYTES:
        raise UserError(f"{setting}: {reference!r} holds {len(found)} bytes, at least {_MIN_KEY_BYTES} are needed")
    return found


def _beyond_a_laptop(settings: Settings) -> str | None:
    """What says that users may be real: the environment or, as that is local where nobody said, Spark's master. None: neither does."""
    if settings.run.environment not in ("local", "ci"):
        return f"environment {settings.run.environment}"
    spark = SparkSession.getActiveSession()
    if spark is None:
        return None
    try:
        master = spark.conf.get("spark.master", "") or ""
    except PySparkException:  # it is not told everywhere, as on Databricks
        master = ""
    return None if master.startswith("local") else f"Spark's master {master or '(unknown)'}"


def _secret(setting: str, name: str) -> bytes:
    """A secret of Databricks, `SCOPE/NAME`."""
    scope, slash, key = name.partition("/")
    spark = SparkSession.getActiveSession()
    try:
        from pyspark.dbutils import DBUtils  # type: ignore[import-not-found]  # there on Databricks alone
    except ImportError:
        raise UserError(f"{setting}: secret:{name} can be read on Databricks alone") from None
    if not slash:
        raise UserError(f"{setting}: secret:{name} is not of the form secret:SCOPE/NAME")
    dbutils: Any = DBUtils(spark)
    return str(dbutils.secrets.get(scope, key)).encode()
