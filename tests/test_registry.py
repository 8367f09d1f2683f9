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


def test_missing_model_names_the_job(settings: Settings) -> None:
    with pytest.raises(UserError, match=r"model buys is missing .* run train_x first"):
        registry.load_spark_model(settings, "buys", "train_x")
    assert registry.cards(settings) == []


def test_store_is_a_folder_or_a_server(settings_with: Callable[..., Settings]) -> None:
    with pytest.raises(UserError, match=r"paths\.models 's3a://bucket/models'"):
        registry.cards(settings_with("paths.models=s3a://bucket/models"))
