import base64
import hashlib
import hmac
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import privacy
from promoloop.errors import UserError
from promoloop.settings import Settings

SECRET = b"k" * 32
KEY = privacy.Key((SECRET,))


def test_pseudonym_is_the_keyed_hash_of_the_id(spark: SparkSession) -> None:
    ids = spark.createDataFrame([("u1",), ("ü 2",), ("u1",), (None,)], "user string")
    found = [row[0] for row in ids.select(privacy.pseudonymise(F.col("user"), KEY)).collect()]
    expected = [None if raw is None else hmac.new(SECRET, raw.encode(), hashlib.sha256).hexdigest() for raw in ("u1", "ü 2", "u1", None)]
    assert found == expected


@pytest.mark.parametrize("links", [(b"s" * 63,), (b"s" * 64,), (b"long" * 40,), (SECRET, b"newer" * 8, b"newest" * 20)])
def test_keys_of_any_length_and_several_of_them_agree_with_the_library(spark: SparkSession, links: tuple[bytes, ...]) -> None:
    found = spark.range(1).select(privacy.pseudonymise(F.lit("u1"), privacy.Key(links))).collect()[0][0]
    assert found == privacy.pseudonym_of("u1", privacy.Key(links))


def test_pseudonyms_differ_under_another_key(spark: SparkSession) -> None:
    ids = spark.createDataFrame([(7,)], "user long")
    other = privacy.Key((b"z" * 32,))
    row = ids.select(privacy.pseudonymise(F.col("user"), KEY).alias("a"), privacy.pseudonymise(F.col("user"), other).alias("b")).first()
    assert row is not None
    assert row["a"] == hmac.new(SECRET, b"7", hashlib.sha256).hexdigest() != row["b"]


def _secrets_in(shown: str, secret: bytes = SECRET) -> list[str]:
    """What of the secret, plain or with either pad, can be read in a text."""
    padded = (secret, *(bytes(byte ^ pad for byte in secret) for pad in (0x36, 0x5C)))
    told = [form for one in padded for form in (one[:8].decode(), one[:8].hex(), one[:8].hex(" "), base64.b64encode(one)[:10].decode())]
    return [form for form in told if form.lower() in shown.lower()]


@pytest.mark.parametrize("mode", ["extended", "formatted", "cost"])
def test_no_plan_shows_the_key(spark: SparkSession, capsys: pytest.CaptureFixture[str], mode: str) -> None:
    ids = spark.createDataFrame([("u1",), ("u2",)], "user string")

    def shown(rows: DataFrame) -> str:
        rows.collect()  # what comes with the final plan is there, too
        rows.explain(mode=mode)
        return capsys.readouterr().out

    rows = ids.select(privacy.pseudonymise(F.col("user"), KEY))
    for frame in (rows, rows.repartition(2).distinct()):
        found = shown(frame)
        assert "sha2" in found
        assert _secrets_in(found) == []
    assert _secrets_in(shown(ids.select(F.concat(F.lit(SECRET), F.col("user").cast("binary"))))) != []


def test_what_is_handed_to_java_by_file_is_sealed(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[str] = []
    unlink = os.unlink

    def read_first(path: str) -> None:
        held.append(Path(path).read_bytes().decode("latin-1"))
        unlink(path)

    monkeypatch.setattr("pyspark.core.context.os.unlink", read_first)
    spark.createDataFrame(pa.table({"plain": [SECRET]}))
    assert _secrets_in("".join(held)) != []  # this is how it would be seen
    held.clear()
    privacy.pseudonymise(F.lit("u1"), KEY)
    assert held
    assert _secrets_in("".join(held)) == []


def test_default_key_is_for_local_environments_alone(settings: Settings, settings_with: Callable[..., Settings]) -> None:
    assert len(privacy.load_key(settings).newest) >= 32
    with pytest.raises(UserError, match=r"privacy\.key: environment cluster"):
        privacy.load_key(settings_with("run.environment=cluster"))


def test_default_keys_are_for_sparks_of_this_machine_alone(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def on(tell: Callable[..., str]) -> None:
        session = SimpleNamespace(conf=SimpleNamespace(get=tell))
        monkeypatch.setattr(SparkSession, "getActiveSession", lambda: session)

    def untold(*_: str) -> str:
        raise PySparkException("[CONFIG_NOT_AVAILABLE]")

    on(lambda *_: "local-cluster[2,1,1500]")
    assert len(privacy.load_key(settings).newest) >= 32
    on(lambda *_: "yarn")
    with pytest.raises(UserError, match=r"privacy\.key: Spark's master yarn needs a key of its own"):
        privacy.load_key(settings)
    with pytest.raises(UserError, match=r"privacy\.vault_key: Spark's master yarn"):
        privacy.load_vault_key(settings)
    on(untold)
    with pytest.raises(UserError, match=r"privacy\.key: Spark's master \(unknown\)"):
        privacy.load_key(settings)


def test_key_comes_from_the_file_referred_to(tmp_path: Path, settings_with: Callable[..., Settings]) -> None:
    (tmp_path / "good").write_bytes(SECRET + b"\n")
    (tmp_path / "short").write_bytes(b"abc")
    assert privacy.load_key(settings_with(f"privacy.key=file:{tmp_path}/good", "run.environment=cluster")) == KEY
    with pytest.raises(UserError, match="holds 3 bytes"):
        privacy.load_key(settings_with(f"privacy.key=file:{tmp_path}/short"))
    with pytest.raises(UserError, match="no file"):
        privacy.load_key(settings_with(f"privacy.key=file:{tmp_path}/none"))


def test_key_comes_from_the_environment_by_name(monkeypatch: pytest.MonkeyPatch, settings_with: Callable[..., Settings]) -> None:
    monkeypatch.setenv("SHOP_KEY", SECRET.decode())
    assert privacy.load_key(settings_with("privacy.key=env:SHOP_KEY")) == KEY


def test_wrapping_leaves_what_is_no_pseudonym(spark: SparkSession) -> None:
    """A column that one set of a mapping keys and another does not."""
    one, ours = "a" * 64, "b" * 32
    rows = spark.createDataFrame([(one, one), (one, ours), (one, None)], "user_id string, offer_id string")
    wrapped = privacy.wrap_all(rows, ["user_id", "offer_id"], SECRET).select("user_id", "offer_id").collect()
    expected = hmac.new(SECRET, one.encode(), hashlib.sha256).hexdigest()
    assert [tuple(row) for row in wrapped] == [(expected, expected), (expected, ours), (expected, None)]
