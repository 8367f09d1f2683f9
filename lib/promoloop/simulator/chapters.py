"""Which days come next, and their files: the history when the shop opens, later a continuation that reacts to what was issued."""

from datetime import date

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop.errors import UserError
from promoloop.settings import Settings
from promoloop.simulator import entities, landing, raw, shop
from promoloop.simulator.landing import Manifest
from promoloop.simulator.shop import Chapter
from promoloop.simulator.world import World, iso, number

_RECENT_DAYS = 6  # what is held back lies in these last days: late records, and reviews that come days after the order


def world_of(settings: Settings, finished: list[Manifest]) -> World:
    """The shop that the landing folder holds, or the one the settings describe where it is empty.

    Raises UserError where the settings are of another shop, naming the setting, or run.as_of is no day its log ends or ended on.
    """
    asked, as_of = settings.shop, number(settings.run.as_of)
    end = _day(finished[0].until) if finished else as_of
    world = World(settings.run.seed, asked.users, asked.items, asked.promotions, end - asked.days, asked.days, asked.continue_days)
    if finished:
        have, want = finished[0].shop, shape(world)
        for name, value in want.items():
            if have[name] != value:
                raise UserError(
                    f"{settings.paths.landing} holds a shop with {name}={have[name]}, not {value}: choose another paths.landing"
                )
        ends = [manifest.until for manifest in finished]
        if settings.run.as_of.isoformat() not in ends:
            raise UserError(f"run.as_of {settings.run.as_of}: the shop in {settings.paths.landing} can be planned for on {', '.join(ends)}")
    return world


def shape(world: World) -> dict[str, int]:
    """The settings that fix a shop, by name."""
    return {
        "run.seed": world.seed,
        "shop.users": world.users,
        "shop.items": world.items,
        "shop.promotions": world.promotion_count,
        "shop.days": world.days,
        "shop.continue_days": world.season_days,
    }


def lived(settings: Settings, finished: list[Manifest], offers: str | None) -> Manifest | None:
    """The batch that begins on run.as_of, if it is written. Raises UserError where it reacted to other offers than `offers` tells of.

    `offers`: None where somebody was forgotten, whose offers are gone from the ledger: they cannot be compared.
    """
    found = next((manifest for manifest in finished if manifest.first == settings.run.as_of.isoformat()), None)
    if found is not None and offers is not None and found.offers != offers:
        raise UserError(
            f"the shop has already lived {found.first} to {found.until} with other offers than {settings.run.run_id} now holds: "
            "what happened cannot change; choose another paths.out and paths.landing, or plan for a later day"
        )
    return found


def write(spark: SparkSession, settings: Settings, chapter: Chapter, blocks: DataFrame, finished: list[Manifest], offers: str) -> Manifest:
    """Write a chapter's batch: events, and the promotions of the days after it; users, items and past offers with the first.

    Returns the manifest, at once where the batch is already there.
    """
    world, place, batch = chapter.world, settings.paths.landing, f"{iso(chapter.first)}_{iso(chapter.until)}"
    there = next((manifest for manifest in finished if manifest.batch == batch), None)
    if there is not None:
        return there
    is_history = chapter.first == world.opening
    exports = {"promotions": entities.promotions(spark, (chapter.promotions if is_history else ()) + world.active(chapter.until))}
    if is_history:
        exports |= {"users": entities.users(spark, world), "items": entities.items(spark, world)}
        exports |= {"past_offers": entities.past_offers(spark, world)}
    rows = {entity: _put(export, place, entity, batch) for entity, export in exports.items()}
    earlier = next((manifest.batch for manifest in finished if manifest.until == iso(chapter.first)), None)
    found = _write_events(spark, place, chapter, blocks, batch, earlier)
    manifest = Manifest(
        batch=batch,
        first=iso(chapter.first),
        until=iso(chapter.until),
        shop=shape(world),
        offers=offers,
        rows={**rows, "events": sum(found.values())},
        dirt={kind: {"records": found[kind], "disposition": how, "reason": why} for kind, (how, why) in raw.DISPOSITIONS.items() if why},
        events_accepted=_disposed(found, "accepted"),
        events_rejected=_disposed(found, "rejected"),
        events_duplicate=_disposed(found, "duplicate"),
    )
    landing.finish(spark, place, manifest)
    return manifest


def _write_events(spark: SparkSession, place: str, chapter: Chapter, blocks: DataFrame, batch: str, earlier: str | None) -> dict[str, int]:
    """Write the log of a chapter, with what batch `earlier` held back; return records by kind."""
    world = chapter.world
    lines = raw.spoil(raw.records(shop.log(chapter, blocks), world, chapter.until).where("not is_held")).select("line", "kind")
    lines = lines.unionByName(raw.machines(spark, world, chapter.first, chapter.until))
    if earlier is not None:
        lines = lines.unionByName(landing.held(spark, place, earlier).coalesce(1))
    # counted from a kept copy: an Observation would leave the session unable to ship MLlib models to its tasks (Spark 4.1)
    kept = lines.persist(StorageLevel.DISK_ONLY)
    landing.put(kept.select("line"), place, "events", batch)
    found = kept.agg(*[F.count_if(F.col("kind") == kind).alias(kind) for kind in raw.DISPOSITIONS]).first()
    kept.unpersist()
    recent = shop.log(chapter, blocks, chapter.until - _RECENT_DAYS)
    held = raw.spoil(raw.records(recent, world, chapter.until).where("is_held"))
    landing.put(held.select(F.to_json(F.struct("line", "kind"))).coalesce(1), place, "held", batch)
    return {kind: int(count) for kind, count in found.asDict().items()} if found is not None else {}


def _disposed(found: dict[str, int], disposition: str) -> int:
    return sum(found[kind] for kind, (how, _) in raw.DISPOSITIONS.items() if how == disposition)


def _put(rows: DataFrame, place: str, entity: str, batch: str) -> int:
    lines = rows.select(F.to_json(F.struct("*")).alias("line")).persist(StorageLevel.DISK_ONLY)
    landing.put(lines, place, entity, batch)
    written = lines.count()
    lines.unpersist()
    return written


def _day(on: str) -> int:
    return number(date.fromisoformat(on))
