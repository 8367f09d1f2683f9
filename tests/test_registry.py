"""The registry keeps models, finds champions and never piles up equal versions."""

from collections.abc import Callable

import pytest
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame, SparkSession

from promoloop import registry
from promoloop.errors import UserError
from promoloop.settings import Settings


@pytest.fixture
def labelled(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(0.0, 0.0), (1.0, 0.0), (2.0, 1.0), (3.0, 1.0)], "visits double, label double")


def test_spark_model_comes_back_and_a_rerun_is_the_same_version(
    labelled: DataFrame, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    pipeline = Pipeline(stages=[VectorAssembler(inputCols=["visits"], outputCol="features"), LogisticRegression(regParam=0.1)])
    model = pipeline.fit(labelled)
    capfd.readouterr()
    first = registry.log_spark_model(settings, "buys", model, {"auc": 0.75}, {"reg": 0.1}, labelled.drop("label"), {"note": "tiny"})
    again = registry.log_spark_model(settings, "buys", model, {"auc": 0.75 + 1e-12}, {"reg": 0.1})
    better = registry.log_spark_model(settings, "buys", model, {"auc": 0.8}, {"reg": 0.1}, card={"note": "newer"})
    loaded, version = registry.load_spark_model(settings, "buys", "train_x")
    assert (first, again, better, version) == ("1", "1", "2", "2")
    assert loaded.transform(labelled).select("prediction").collect() == model.transform(labelled).select("prediction").collect()
    (card,) = registry.cards(settings)
    assert (card["name"], card["version"], card["figures"], card["note"]) == ("buys", "2", {"auc": 0.8}, "newer")
    assert card["as_of"] == "2026-03-02"
    written = capfd.readouterr()
    assert written.out + written.err == "", "the registry is quiet"


def test_going_back_to_an_earlier_model_makes_it_champion_again(settings: Settings) -> None:
    registry.log_document(settings, "cuts", {"low": 1}, {}, {})
    registry.log_document(settings, "cuts", {"low": 2}, {}, {})
    registry.log_document(settings, "cuts", {"low": 1}, {}, {})
    assert registry.load_document(settings, "cuts", "train_x") == ({"low": 1}, "1")


def test_sums_that_differ_in_their_last_digits_make_no_new_version(settings: Settings) -> None:
    learned = ([0.1 + 0.2], [0.3], [0.30001])
    assert [registry.log_document(settings, "cuts", {"of": {"tea": cuts}}, {}, {}) for cuts in learned] == ["1", "1", "2"]


def test_no_day_is_judged_by_what_was_learned_later(settings: Settings, settings_with: Callable[..., Settings]) -> None:
    before, after = settings_with("run.as_of=2026-03-01"), settings_with("run.as_of=2026-03-03")
    registry.log_document(settings, "cuts", {"low": 1}, {}, {})
    later = r"model cuts learned from days before 2026-03-02, run\.as_of is 2026-03-01: run train_x for 2026-03-01 first"
    with pytest.raises(UserError, match=later):
        registry.load_document(before, "cuts", "train_x")
    assert registry.version_in_use(after, "cuts", "train_x") == "1"
    registry.log_document(before, "cuts", {"low": 1}, {}, {})  # takes nothing from the days after it
    assert [registry.version_in_use(day, "cuts", "train_x") for day in (before, settings, after)] == ["2", "1", "1"]
    registry._client(settings).delete_model_version_tag("cuts", "1", "as_of")  # as versions of before are
    assert registry.version_in_use(before, "cuts", "train_x") == "1"


def test_missing_model_names_the_job(settings: Settings) -> None:
    with pytest.raises(UserError, match=r"model buys is missing .* run train_x first"):
        registry.load_spark_model(settings, "buys", "train_x")
    assert registry.cards(settings) == []
    registry._client(settings).create_registered_model("buys")  # as where training was killed before its end
    with pytest.raises(UserError, match=r"model buys is missing .* run train_x first"):
        registry.version_in_use(settings, "buys", "train_x")


def test_a_server_that_is_down_is_no_missing_model(settings_with: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    down = settings_with("paths.models=http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"MLflow, at paths\.models, says: API request to http://127\.0\.0\.1:9/.* failed"):
        registry.load_document(down, "cuts", "train_x")
    with pytest.raises(UserError, match=r"MLflow, at paths\.models, says: "):
        registry.log_document(down, "cuts", {"low": 1}, {}, {})


def test_store_is_a_folder_or_a_server(settings_with: Callable[..., Settings]) -> None:
    with pytest.raises(UserError, match=r"paths\.models 's3a://bucket/models'"):
        registry.cards(settings_with("paths.models=s3a://bucket/models"))
