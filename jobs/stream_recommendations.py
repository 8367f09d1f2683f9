"""events (as they arrive), users, items, recommender model (MLflow) -> item_recommendations of the users who did something."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import launch, registry, sources, tables
from promoloop.launch import Outcome
from promoloop.recommenders import content, interactions, model, ranker, realtime, training
from promoloop.recommenders.model import Model
from promoloop.recommenders.training import Shop
from promoloop.settings import Settings


def run(spark: SparkSession, settings: Settings) -> Outcome:
    """Follow the events: every `stream_every_seconds` until stopped, or (0) what is there now."""
    own, as_of = settings.recommenders, settings.run.as_of
    events, users, items = (tables.read(spark, settings, table) for table in (tables.EVENTS, tables.USERS, tables.ITEMS))
    document, version = registry.load_document(settings, model.NAME, model.TRAINED_BY)
    learned, written = Model.from_document(document), []
    past = realtime.Past(as_of, interactions.sums(events, as_of, own).persist())
    vectors = content.per_item(items, own.content_width)
    _, goods = training.serving_side(Shop(events, users, items), interactions.settled(past.sums), vectors, learned, own)
    judge, seed = ranker.from_document(learned.ranker), settings.run.seed + as_of.toordinal()

    def follow(arrived: DataFrame, take: int) -> None:
        day = realtime.day_after(arrived)
        if day is not None and day > as_of:
            now, people, stock = (tables.read(spark, settings, table) for table in (tables.EVENTS, tables.USERS, tables.ITEMS))
            whom = people.join(F.broadcast(realtime.touched(arrived, as_of)), "user_id", "left_semi").cache()
            lists = realtime.refresh(whom, past, now, stock, day, goods, judge, own, seed)
            rows = lists.withColumn("as_of_on", F.lit(as_of))
            written.append(tables.merge(rows, settings, tables.ITEM_RECOMMENDATIONS, gone="is_gone", day=as_of))
            whom.unpersist()

    arriving = tables.read_stream(spark, settings, tables.EVENTS)
    sources.take(arriving, tables.checkpoint(settings, "stream_recommendations"), follow, own.stream_every_seconds or None).wait()
    past.sums.unpersist()
    return Outcome(rows_out=sum(written), figures={"recommender_version": version})


if __name__ == "__main__":
    launch.main(run, is_stream=True)
