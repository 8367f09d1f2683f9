"""Cleanings made again from pinned versions, after more came and users changed."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import shop_files
from job_files import job
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from promoloop import privacy, tables
from promoloop.cli import reproduce
from promoloop.errors import UserError
from promoloop.settings import Settings


def test_a_cleaning_is_made_again_of_what_came_and_was_known_then(spark: SparkSession, settings_with: Callable[..., Settings]) -> None:
    settings = settings_with("events.max_rejected_share=0.9")
    landing = Path(settings.paths.landing)
    shop_files.write_known(landing)
    shop_files.write(landing, "events", {"event_id": "a"}, {"event_id": "a"}, {"event_id": "stranger", "user": "u9"})
    for day in (date(2026, 1, 11), date(2026, 1, 25)):
        then = settings.model_copy(update={"run": settings.run.model_copy(update={"as_of": day})})
        for name in ("ingest_events", "clean_events"):
            job(name).run(spark, then)
        later = ({"event_id": "a"}, {"event_id": "b", "item": "i2"}, {"event_id": "stranger-2", "user": "u9"})
        shop_files.write(landing, "events", *later, name="later")
    user = F.lit(privacy.pseudonym_of("u9", privacy.load_key(settings)))
    known = tables.read(spark, settings, tables.USERS).limit(1).withColumn("user_id", user)
    tables.merge(known, settings, tables.USERS)  # life goes on

    made = reproduce.again(spark, settings, then.run.run_id, None)
    compared = made.compared
    assert made.is_by_same_settings
    assert made.left_out == []
    assert {one.table for one in compared} == {"events", "events_rejected", "batches"}
    assert [one.table for one in compared if one.recorded != one.reproduced] == []
    root = f"{settings.paths.out}/reproduced/{then.run.run_id}/tables/cleaning-0"
    place = settings.model_copy(update={"paths": settings.paths.model_copy(update={"tables": root})})
    assert sorted(row["event_id"] for row in tables.read(spark, place, tables.EVENTS).collect()) == ["a", "b"]
    takes = tables.read(spark, place, tables.BATCHES).orderBy("rows_duplicate", "rows_accepted").collect()
    verdicts = [(row["rows_accepted"], row["rows_rejected"], row["rows_duplicate"]) for row in takes]
    assert verdicts == [(1, 1, 1), (1, 1, 1)]
    assert tables.read(spark, place, tables.RAW_EVENTS).count() == len(later)
    with pytest.raises(UserError, match="holds tables already"):
        reproduce.again(spark, settings, then.run.run_id, str(Path(root).parent))
