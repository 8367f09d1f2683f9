"""Tables -> facts. Everything is added up in Spark; only of groups of at least k users are sizes and figures told."""

from collections.abc import Callable, Mapping

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from promoloop.report.facts import Batch, Certificate, Effect, Facts, Issued, Promotion, Recommended, Resource, Run, Share
from promoloop.report.withholding import withheld

_NEWEST_BATCHES = 30
_TOP = 3

Frames = Mapping[str, DataFrame]


def facts(frames: Frames, source: str, k: int) -> Facts:
    """The facts of all runs in `frames` (tables by name; what has not been written yet is left out).

    `k`: smallest group of users whose size and figures are told. Cards, steps and violations are added by the caller with
    `dataclasses.replace`.
    """
    effects = [_effect(row) for row in _rows(frames, "evaluations")]
    resources = _rows(frames, "allocation_resources")
    issued = issued_by_promotion(frames) if "offers" in frames else []
    shares = shares_by_segment(frames, k) if {"offers", "user_profiles"} <= set(frames) else []
    run_ids = sorted({row["run_id"] for row in (*resources, *issued)})
    totals = [_batch(row) for row in _rows(frames, "batches", batch_totals)]
    segments = _rows(frames, "user_profiles", lambda profiles: newest_segments(profiles, k))
    found = Facts(
        source=source,
        total=totals[0] if totals else Batch("all", 0, 0, 0, 0),
        batches=tuple(_batch(row) for row in reversed(_rows(frames, "batches", newest_batches))),
        reasons=tuple((row["reason"], int(row["rows"])) for row in _rows(frames, "batches", rejected_by_reason)),
        promotions={row["promotion_id"]: _promotion(row) for row in _rows(frames, "promotions")},
        runs=tuple(_run(run_id, resources, issued, shares, effects) for run_id in run_ids),
        past=tuple(effect for effect in effects if effect.run_id not in run_ids),
        segments=tuple((row["segment"], int(row["users"])) for row in segments),
        recommended=tuple(recommended(frames, k)) if {"item_recommendations", "items", "user_profiles"} <= set(frames) else (),
        k=k,
    )
    return withheld(found)


def batch_totals(batches: DataFrame) -> DataFrame:
    """One row: the records of all batches together."""
    return batches.agg(F.lit("all").alias("batch_id"), *_sums())


def newest_batches(batches: DataFrame) -> DataFrame:
    """One row per batch, all its takes together; the newest by name, newest first."""
    return batches.groupBy("batch_id").agg(*_sums()).orderBy(F.desc("batch_id")).limit(_NEWEST_BATCHES)


def _sums() -> list[Column]:
    return [F.coalesce(F.sum(f"rows_{kind}"), F.lit(0)).alias(f"rows_{kind}") for kind in ("received", "accepted", "rejected", "duplicate")]


def rejected_by_reason(batches: DataFrame) -> DataFrame:
    """One row per reason, most frequent first; a record counts under each of its reasons."""
    each = batches.select(F.explode("reasons").alias("reason", "rows"))
    return each.groupBy("reason").agg(F.sum("rows").alias("rows")).where("rows > 0").orderBy(F.desc("rows"), "reason")


def newest_segments(profiles: DataFrame, k: int) -> DataFrame:
    """Users per segment on the newest day, groups under `k` left out, largest first."""
    sized = profiles.groupBy("as_of_on", "segment").agg(F.count("*").alias("users"))
    newest = sized.withColumn("_newest", F.max("as_of_on").over(Window.partitionBy())).where("as_of_on = _newest")
    return newest.where(F.col("users") >= k).select("segment", "users").orderBy(F.desc("users"), "segment")


def issued_by_promotion(frames: Frames) -> list[Row]:
    """One row per run, promotion, arm and whether sent: users, money expected, redemptions and money conceded."""
    offers = frames["offers"]
    if "events" in frames:
        redemptions = frames["events"].where("event_type = 'offer_redeem'").groupBy("offer_id")
        redeemed = redemptions.agg(F.lit(1).alias("redeemed"), F.sum("concession").cast("double").alias("conceded"))
        offers = offers.join(redeemed, "offer_id", "left")
    else:
        offers = offers.withColumns({"redeemed": F.lit(None).cast("int"), "conceded": F.lit(None).cast("double")})
    return (
        offers.groupBy("run_id", "promotion_id", "arm", "is_sent")
        .agg(
            F.count_distinct("user_id").alias("users"),
            *[F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in ("expected_value", "expected_cost", "redeemed", "conceded")],
        )
        .orderBy("run_id", "promotion_id", "arm", "is_sent")
        .collect()
    )


def shares_by_segment(frames: Frames, k: int) -> list[Row]:
    """One row per run, promotion and segment of sent offers; `users` is null in groups under `k`.

    Where a promotion has exactly one such group, its smallest named one is withheld too, or the total would tell.
    """
    profiles = frames["user_profiles"].select("user_id", "segment", F.concat(F.lit("plan-"), F.col("as_of_on")).alias("run_id"))
    sent = frames["offers"].where("is_sent AND promotion_id IS NOT NULL AND arm = 'treatment'")
    sized = (
        sent.join(profiles, ["run_id", "user_id"])
        .groupBy("run_id", "promotion_id", "segment")
        .agg(F.count_distinct("user_id").alias("users"))
    )
    of_promotion = Window.partitionBy("run_id", "promotion_id")
    is_small = F.col("users") < k
    withheld = (
        sized.withColumn("_small", F.count_if(is_small).over(of_promotion))
        .withColumn("_place", F.row_number().over(of_promotion.orderBy("users", "segment")))
        .withColumn("users", F.when(is_small | ((F.col("_small") == 1) & (F.col("_place") == 2)), None).otherwise(F.col("users")))
    )
    return withheld.select("run_id", "promotion_id", "segment", "users").orderBy("run_id", "promotion_id", "segment").collect()


def recommended(frames: Frames, k: int) -> list[Recommended]:
    """Per segment on the newest day, the categories at the top of most lists, groups under `k` left out."""
    lists = frames["item_recommendations"]
    newest = lists.agg(F.max("as_of_on").alias("as_of_on"))
    first = lists.where("rank = 1").join(F.broadcast(newest), "as_of_on")
    segments = frames["user_profiles"].select("user_id", "as_of_on", "segment")
    sized = (
        first.join(segments, ["user_id", "as_of_on"])
        .join(frames["items"].select("item_id", "category"), "item_id")
        .where("category IS NOT NULL")
        .groupBy("segment", "category")
        .agg(F.count("*").alias("users"))
        .where(F.col("users") >= k)
    )
    place = F.row_number().over(Window.partitionBy("segment").orderBy(F.desc("users"), "category"))
    rows = sized.withColumn("_place", place).where(F.col("_place") <= _TOP).orderBy("segment", "_place").collect()
    return [Recommended(row["segment"], row["category"], int(row["users"])) for row in rows]


def _rows(frames: Frames, table: str, form: Callable[[DataFrame], DataFrame] = lambda rows: rows) -> list[Row]:
    return form(frames[table]).collect() if table in frames else []


def _promotion(row: Row) -> Promotion:
    return Promotion(row["promotion_id"], row["name"] or row["promotion_id"], row["form"])


def _batch(row: Row) -> Batch:
    return Batch(row["batch_id"], row["rows_received"], row["rows_accepted"], row["rows_rejected"], row["rows_duplicate"])


def _effect(row: Row) -> Effect:
    return Effect(
        row["run_id"], row["metric"], row["scope"], row["method"], row["value"], row["low"], row["high"],
        row["count_treated"], row["count_control"], row["is_causal"], row["note"] or "",
    )  # fmt: skip


def _run(run_id: str, resources: list[Row], issued: list[Row], shares: list[Row], effects: list[Effect]) -> Run:
    own = sorted((row for row in resources if row["run_id"] == run_id), key=lambda row: row["resource"])
    plan = next((row for row in own if row["resource"] == "plan"), None)
    return Run(
        run_id,
        Certificate(plan["objective"], plan["bound"], plan["gap"], plan["count_passes"], plan["seconds_per_pass"]) if plan else None,
        tuple(
            Resource(row["resource"], row["capacity"], row["used"], row["shadow_price"] or 0.0, row["sentence"] or "", row["quantity"])
            for row in own
            if row["resource"] != "plan"
        ),
        tuple(
            Issued(
                row["promotion_id"], row["arm"], row["users"], row["is_sent"],
                row["expected_value"], row["expected_cost"], int(row["redeemed"]), float(row["conceded"]),
            )
            for row in issued if row["run_id"] == run_id
        ),
        tuple(Share(row["promotion_id"], row["segment"], row["users"]) for row in shares if row["run_id"] == run_id),
        tuple(effect for effect in effects if effect.run_id == run_id),
    )  # fmt: skip
