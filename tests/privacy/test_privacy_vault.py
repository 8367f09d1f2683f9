from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import privacy
from promoloop.errors import UserError
from promoloop.privacy.vault import open_text, seal_text
from promoloop.settings import Settings

SECRET, NEWER = b"v" * 32, b"w" * 32


@pytest.fixture(scope="module")
def vault(spark: SparkSession) -> DataFrame:
    people = [("a" * 64, {"name": "Ann Planted", "mail": "ann@mail.example"}), ("b" * 64, {}), ("c" * 64, {"phone": "Ω 1"})]
    rows = spark.createDataFrame(people, "user_id string, identifiers map<string,string>")
    kept = rows.transform(privacy.add_sealed, SECRET).where("sealed IS NOT NULL").localCheckpoint()
    assert kept.columns == ["user_id", "sealed", "key_mark"]
    return kept


def test_what_was_sealed_opens_for_its_own_pseudonym_alone(vault: DataFrame) -> None:
    opened = {row["user_id"][0]: row["identifiers"] for row in privacy.unsealed(vault, SECRET).collect()}
    assert opened == {"a": {"name": "Ann Planted", "mail": "ann@mail.example"}, "c": {"phone": "Ω 1"}}
    moved = vault.withColumn("user_id", F.translate("user_id", "ac", "ca"))
    for wrong in (privacy.unsealed(moved, SECRET), privacy.unsealed(vault, NEWER)):
        with pytest.raises(Exception, match="does not open"):
            wrong.collect()
    with pytest.raises(UserError, match=r"privacy\.vault_key"):
        privacy.sealed_under(vault, NEWER)
    privacy.sealed_under(vault, SECRET)


def test_nothing_of_it_is_in_the_clear_and_no_two_seals_are_equal(spark: SparkSession) -> None:
    same = spark.createDataFrame([("a" * 64, {"name": "Ann Planted"})] * 2, "user_id string, identifiers map<string,string>")
    boxes = [bytes(row["sealed"]) for row in privacy.add_sealed(same, SECRET).collect()]
    assert len(set(boxes)) == len({box[:12] for box in boxes}) == 2
    assert not any(b"Ann" in box for box in boxes)


def test_resealed_rows_open_under_the_wrapped_pseudonym(vault: DataFrame) -> None:
    again = privacy.reseal(vault, NEWER, SECRET).localCheckpoint()
    wrapped = {row[0] for row in vault.select(privacy.wrap(F.col("user_id"), NEWER)).collect()}
    opened = {row["user_id"]: row["identifiers"] for row in privacy.unsealed(again, SECRET).collect()}
    assert set(opened) == wrapped
    assert {"phone": "Ω 1"} in opened.values()


@given(text=st.text(), bound=st.text(max_size=64), at=st.integers(min_value=0))
def test_a_changed_bit_does_not_open(text: str, bound: str, at: int) -> None:
    box = seal_text(SECRET, "test", bound, text)
    assert open_text(SECRET, "test", bound, box) == text
    changed = bytearray(box)
    changed[at % len(box)] ^= 1
    tried = [(SECRET, "test", bound, bytes(changed)), (NEWER, "test", bound, box), (SECRET, "other", bound, box)]
    for key, purpose, whose, what in [*tried, (SECRET, "test", bound + "x", box)]:
        with pytest.raises(ValueError, match="does not open"):
            open_text(key, purpose, whose, what)


def test_the_default_vault_key_is_for_local_environments_alone(settings_with: Callable[..., Settings]) -> None:
    assert privacy.load_vault_key(settings_with()) != privacy.load_key(settings_with()).newest
    with pytest.raises(UserError, match=r"privacy\.vault_key: environment cluster"):
        privacy.load_vault_key(settings_with("run.environment=cluster"))
