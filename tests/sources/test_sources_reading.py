"""Files of several shapes as our columns: what parses, what is rescued, and what names nobody."""

import json
import re
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from promoloop import home, sources, tables
from promoloop.errors import UserError
from promoloop.sources.reading import is_below

AS_OF = date(2026, 3, 2)


def mapping(folder: Path, **changed: Any) -> sources.Mapping:
    stated = {
        "entity": "events",
        "files": "*/*",
        "format": "csv",
        "fields": ["ts", "who", "what", "eur"],
        "personal": ["who"],
        "times": ["yyyy/MM/dd HH:mm", "seconds"],
        "zone": "Europe/Paris",
        "columns": {"occurred_at": "ts", "user_id": "who", "event_type": "what", "price": "eur"},
        "vocabulary": {"view": ["page"]},
        **changed,
    }
    return sources.Mapping.model_validate({"name": "t", "title": "t", "sets": [stated]})


def raw(spark: SparkSession, found: sources.Mapping, folder: Path) -> DataFrame:
    arrived = sources.arrivals(spark, found.sets[0], str(folder), is_stream=False)
    return sources.read_columns(arrived, found.sets[0], tables.RAW_EVENTS.schema, AS_OF)


def test_csv_headers_differ_from_file_to_file_and_nothing_is_lost(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.csv").write_text('ts,who,what,eur\n2026/01/02 10:00,ann,page,"1.50"\n2026/01/02 10:00,bob,page\n')
    (tmp_path / "b" / "2.csv").write_text("eur,what,colour,who,ts\n2.50,buy,red,cy,1767344400\n free ,page,,dee,never\n")
    rows = {(row["source_file"], row["row_number"]): row for row in raw(spark, mapping(tmp_path), tmp_path).collect()}
    assert sorted(rows) == [("b/1.csv", 1), ("b/1.csv", 2), ("b/2.csv", 1), ("b/2.csv", 2)]
    sound = rows["b/1.csv", 1]
    assert (sound["occurred_at"], sound["event_type"], str(sound["price"]), sound["batch_id"]) == (
        datetime(2026, 1, 2, 9),
        "view",
        "1.50",
        "b",
    )
    assert json.loads(rows["b/1.csv", 2]["_rescued"]) == {"unread": "9999/99/99 99:99,xxx,xxxx"}
    assert json.loads(rows["b/2.csv", 1]["_rescued"]) == {"new": {"colour": "red"}}
    assert (rows["b/2.csv", 1]["occurred_at"], rows["b/2.csv", 1]["event_type"]) == (datetime(2026, 1, 2, 9), "buy")
    assert json.loads(rows["b/2.csv", 2]["_rescued"])["failed"] == {"occurred_at": "never", "price": "free"}


def test_a_header_names_whole_columns_each_once(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.csv").write_text('\ufeff"user", mail\r\nuser17,user17@mail.com\r\n')
    stated = {"entity": "users", "fields": ["user", "mail"], "personal": ["user", "mail"], "columns": {"user_id": "user", "region": "mail"}}
    found = mapping(tmp_path, **stated)

    def read() -> DataFrame:
        return sources.read_columns(
            sources.arrivals(spark, found.sets[0], str(tmp_path), is_stream=False), found.sets[0], tables.USERS.schema, AS_OF
        )

    row = read().collect()[0]
    assert (row["user_id"], row["region"]) == ("user17", "user17@mail.com")
    (tmp_path / "b" / "2.csv").write_text("user,mail,mail\na,b,c\n")
    with pytest.raises(UserError, match="mail twice"):
        read()


def test_a_line_of_two_records_or_of_other_letters_is_unread_and_one_with_braces_is_not(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    one = '{"who":"ann","what":"buy","eur":"1.50"}'
    lines = [
        one,
        one + one,  # as `cat` makes of two files where the first lacks its last line end
        one + ", " + one,
        one + " ann",
        one + "  ",
        '{"who":"ann","what":"a } b","eur":"1.50"}',
        '{"who":"ann","what":"buy","eur":"1.50","more":{"a":[{"b":1},{"c":2}]}}',
        "{'who':'ann','what':'{}}','eur':'1.50'}",
        '{"who":"ann","what":"buy","eur":NaN,"more":{"a":1}}',  # as Python writes it
        one + ",",  # of a list over many lines
    ]
    (tmp_path / "b" / "1.json").write_bytes("\n".join(lines).encode() + b'\n{"who":"M\xfcller","what":"buy","eur":"1.50"}\n')
    found = mapping(tmp_path, format="json")
    rows = {row["row_number"]: row for row in raw(spark, found, tmp_path).collect()}
    unread = {number for number, row in rows.items() if row["user_id"] is None}
    assert (set(rows), unread) == (set(range(11)), {1, 2, 3, 10})
    assert all(json.loads(rows[number]["_rescued"]).keys() == {"unread"} for number in unread)
    assert {rows[number]["user_id"] for number in set(rows) - unread} == {"ann"}
    (tmp_path / "b" / "1.json").unlink()
    (tmp_path / "b" / "1.csv").write_bytes(b"ts,who,what,eur\n2026/01/02 10:00,M\xfcller,page,1\n2026/01/02 10:00,ann,page,1\n")
    rows = {row["row_number"]: row for row in raw(spark, mapping(tmp_path), tmp_path).collect()}
    assert {number: row["user_id"] for number, row in rows.items()} == {1: None, 2: "ann"}


def test_a_csv_file_without_a_field_that_only_speaks_of_has_no_header(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.csv").write_text("ts,who,what,euro\n2026/01/02 10:00,ann,page,1\n")
    stated = {"only": "eur > 0", "columns": {"occurred_at": "ts", "user_id": "who", "event_type": "what"}}
    rows = raw(spark, mapping(tmp_path, **stated), tmp_path).collect()
    assert [json.loads(row["_rescued"]).keys() for row in rows] == [{"unread"}, {"unread"}]


def test_phone_numbers_of_many_ways_to_write_them_are_struck_out(spark: SparkSession) -> None:
    numbers = ("+86 138 0000 1234", "0571 8888999", "0612345678", "06 12 34 56 78", "13800001234", "(212) 555-0100", "212-555-0100")
    kept = ("order 20260302", "12.50", "1700000000000", "item 4711-0815")
    texts = spark.createDataFrame([(f"call {text} now",) for text in (*numbers, *kept)], "text string")
    found = [row["text"] for row in texts.select(sources.redact(F.col("text")).alias("text")).collect()]
    assert found == ["call [phone] now"] * len(numbers) + [f"call {text} now" for text in kept]


def test_rescued_json_names_nobody(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    lines = ['{"ts": 1767344400, "who": "ann", "note": "call +33 612 345 678 or ann@mail.example"}', '{"ts": 1767344400, "who": "ann']
    lines += ['{"ts": 1767344400, "who": "ann", "fullName": "Ann Lee", "ship": {"Street": "Rue 7"}, "size": {"cm": 70}}']
    (tmp_path / "b" / "1.json").write_text("\n".join(lines))
    stated = mapping(tmp_path, format="json", columns={"occurred_at": "ts", "quantity": "upper(WHO)"})  # a name where a number belongs
    rows = raw(spark, stated, tmp_path).orderBy("row_number").collect()
    assert json.loads(rows[0]["_rescued"]) == {"failed": {"quantity": "xxx"}, "new": {"note": "call [phone] or [mail]"}}
    assert json.loads(rows[1]["_rescued"]) == {"unread": '{"xx": 9999999999, "xxx": "xxx'}
    named = {"fullName": "xxx xxx", "ship": '{"xxxxxx":"xxx 9"}', "size": '{"cm":70}'}  # of a person by the name of the field, or within it
    assert json.loads(rows[2]["_rescued"])["new"] == named


def test_a_field_stated_as_null_is_no_new_one_and_hides_none(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    lines = [
        '{"ts": 1767344400, "who": "ann", "what": null, "size": null}',
        '{"ts": 1767344400, "who": null, "what": "page", "colour": "red"}',
    ]
    (tmp_path / "b" / "1.json").write_text("\n".join(lines))
    sound, more = raw(spark, mapping(tmp_path, format="json"), tmp_path).orderBy("row_number").collect()
    assert (sound["event_type"], sound["_rescued"]) == (None, None)
    assert (more["user_id"], json.loads(more["_rescued"])) == (None, {"new": {"colour": "red"}})


def test_a_file_is_named_as_it_lies_below_the_folder_whatever_its_letters(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "a shop, 50 %"
    (folder / "b c").mkdir(parents=True)
    (folder / "b c" / "1+1 é.csv").write_text("ts,who,what,eur\n1767344400,ann,page,1\n")
    row = raw(spark, mapping(folder), folder).collect()[0]
    assert (row["batch_id"], row["source_file"]) == ("b c", "b c/1+1 é.csv")


def test_parquet_keeps_its_columns(spark: SparkSession, tmp_path: Path) -> None:
    frame = spark.createDataFrame([(1767344400, "ann", "page", 1.5, "red")], "ts long, who string, what string, eur double, colour string")
    frame.write.parquet(str(tmp_path / "b"))
    row = raw(spark, mapping(tmp_path, files="b/*.parquet", format="parquet"), tmp_path).collect()[0]
    assert (row["occurred_at"], str(row["price"]), json.loads(row["_rescued"])) == (
        datetime(2026, 1, 2, 9),
        "1.50",
        {"new": {"colour": "red"}},
    )


def test_parquet_columns_may_be_added_and_its_moments_are_not_moved(spark: SparkSession, tmp_path: Path) -> None:
    early = "timestamp'2026-01-02 09:00:00.5' AS ts", "'ann' AS who", "1.5D AS eur"
    later = "timestamp_ntz'2026-01-02 10:00:00' AS wall", "'bob' AS who", "'s1' AS Received_At", "77 AS row_number", "'red' AS colour"
    for name, columns in {"b1": early, "b2": later}.items():
        spark.range(0, 1, 1, 1).selectExpr(*columns).write.parquet(str(tmp_path / name))
    columns = {"occurred_at": "coalesce(ts, wall)", "user_id": "who", "session_id": "received_at", "order_id": "row_number", "price": "eur"}
    fields = ["ts", "wall", "who", "eur", "Received_At", "row_number"]
    stated = mapping(tmp_path, files="b*/*.parquet", format="parquet", times=["yyyy-MM-dd HH:mm:ss"], fields=fields, columns=columns)
    first, second = raw(spark, stated, tmp_path).orderBy("batch_id").collect()
    assert (first["occurred_at"], first["session_id"], first["_rescued"]) == (datetime(2026, 1, 2, 9, 0, 0, 500_000), None, None)
    assert (second["occurred_at"], json.loads(second["_rescued"])) == (datetime(2026, 1, 2, 9), {"new": {"colour": "red"}})
    assert (second["session_id"], second["order_id"], second["batch_id"], second["row_number"]) == ("s1", "77", "b2", 0)
    assert isinstance(second["received_at"], datetime)


def test_parquet_files_that_differ_in_a_type_are_read_by_the_columns_of_one(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, price in {"b1": "1", "b2": "'dear'"}.items():
        spark.range(0, 1, 1, 1).selectExpr("1767344400 AS ts", f"{price} AS eur").write.parquet(str(tmp_path / name))
    for fields, is_told in (["TS", "eur"], False), (["ts", "eur", "later"], True):  # only a field that one file lacks is looked for in all
        stated = mapping(tmp_path, files="b*/*.parquet", format="parquet", fields=fields, columns={"occurred_at": "ts"})
        assert set(sources.arrivals(spark, stated.sets[0], str(tmp_path), is_stream=False).columns) > {"ts", "eur"}
        assert ("set events (b*/*.parquet): the files differ in the type" in capsys.readouterr().err) is is_told


def test_a_field_called_like_a_place_stands_for_itself(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.json").write_text('{"line": 7, "fields": "f", "batch_id": "theirs", "As_Of": "a", "_line": 3, "_has_new": "n"}')
    columns = {"order_id": "line", "item_id": "fields", "offer_id": "batch_id", "session_id": "as_of", "text": "source_file"}
    columns |= {"event_id": "_line", "promotion_id": "_has_new"}
    stated = mapping(tmp_path, format="json", fields=["line", "fields", "batch_id", "As_Of", "_line", "_has_new"], columns=columns)
    row = raw(spark, stated, tmp_path).collect()[0]
    assert [row[name] for name in ("order_id", "item_id", "offer_id", "session_id", "text")] == ["7", "f", "theirs", "a", "b/1.json"]
    assert (row["batch_id"], row["_rescued"], row["event_id"], row["promotion_id"]) == ("b", None, "3", "n")
    spark.range(0, 1, 1, 1).selectExpr("'theirs' AS _source_file", "5 AS _row_number").write.parquet(str(tmp_path / "p"))
    columns = {"order_id": "_source_file", "item_id": "_row_number"}
    stated = mapping(tmp_path, files="p/*.parquet", format="parquet", fields=["_source_file", "_row_number"], columns=columns)
    row = raw(spark, stated, tmp_path).collect()[0]
    assert (row["order_id"], row["item_id"], row["batch_id"], row["row_number"], row["_rescued"]) == ("theirs", "5", "p", 0, None)


@pytest.mark.parametrize(
    ("form", "said", "day", "moment"),
    [
        ("dd/MM/yyyy", "05/12/2011", date(2011, 12, 5), datetime(2011, 12, 4, 23)),
        ("dd-MM-yyyy", "05-12-2011", date(2011, 12, 5), datetime(2011, 12, 4, 23)),  # ends as an offset might
        ("yyyy-MM-dd HH:mm:ssX", "2011-12-05 00:30:00+01", date(2011, 12, 5), datetime(2011, 12, 4, 23, 30)),
        ("ISO", "2011-12-05T00:30:00+01:00", date(2011, 12, 5), datetime(2011, 12, 4, 23, 30)),
        ("seconds", "1323041400", date(2011, 12, 5), datetime(2011, 12, 4, 23, 30)),
        ("seconds", "1323041400000000", None, None),  # microseconds: of no year that a time can have
        ("ISO", "2011-12-05 00:30:00 UTC+01:00", date(2011, 12, 5), datetime(2011, 12, 4, 23, 30)),
    ],
)
def test_a_day_is_the_one_that_is_written_and_a_moment_is_of_the_zone(
    form: str, said: str, day: date | None, moment: datetime | None, spark: SparkSession, tmp_path: Path
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.csv").write_text(f"ts,who\n{said},ann\n")
    stated = mapping(tmp_path, fields=["ts", "who"], times=[form], columns={"occurred_at": "ts", "user_id": "who"})
    assert raw(spark, stated, tmp_path).collect()[0]["occurred_at"] == moment
    arrived = sources.arrivals(spark, stated.sets[0], str(tmp_path), is_stream=False)
    users = stated.sets[0].model_copy(update={"entity": "users", "columns": {"joined_on": "ts", "user_id": "who"}})
    assert sources.read_columns(arrived, users, tables.USERS.schema, AS_OF).collect()[0]["joined_on"] == day


def test_a_delta_table_is_taken_append_by_append(spark: SparkSession, tmp_path: Path) -> None:
    place, taken = str(tmp_path / "lake" / "visits"), []
    files = mapping(tmp_path, files="lake/visits", format="delta").sets[0]

    def take() -> None:
        stream = sources.arrivals(spark, files, str(tmp_path))
        read = lambda rows, _: taken.extend(sources.read_columns(rows, files, tables.RAW_EVENTS.schema, AS_OF).collect())  # noqa: E731
        sources.take(stream, str(tmp_path / "checkpoint"), read).wait()

    for first, many in ((0, 5), (5, 2)):
        visits = spark.range(first, first + many, 1, 1).selectExpr(
            "1767344400 + id AS ts", "concat('u', id) AS who", "'page' AS what", "1.5 AS eur"
        )
        visits.write.format("delta").mode("append").save(place)
        take()
    take()
    assert sources.are_there(spark, files, str(tmp_path))
    assert len({(row["source_file"], row["row_number"]) for row in taken}) == len(taken) == 7
    assert {row["user_id"] for row in taken} == {f"u{n}" for n in range(7)}
    assert {(row["batch_id"], row["event_type"], row["_rescued"]) for row in taken} == {("visits", "view", None)}
    assert all(row["received_at"] is not None for row in taken)


def test_a_set_is_known_wherever_it_stands(tmp_path: Path) -> None:
    (events,) = mapping(tmp_path).sets
    users, part = events.model_copy(update={"entity": "users"}), events.model_copy(update={"columns": {"user_id": "who"}})
    few = [name for _, name in mapping(tmp_path).model_copy(update={"sets": [events, part]}).streams()]
    more = {name: one for one, name in mapping(tmp_path).model_copy(update={"sets": [users, events, part]}).streams()}
    assert len(set(few)) == 2
    assert [more[name] for name in few] == [events, part]
    other = events.model_copy(update={"only": "what = 'page'"})
    assert mapping(tmp_path).model_copy(update={"sets": [other]}).streams()[0][1] not in more


def test_check_tells_before_anything_is_written(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.csv").write_text("ts,who,what,eur,more\n2026/01/02 10:00,ann,page,1,x\nnever,bob,buy,2,x\n")
    events = mapping(tmp_path, fields=["ts", "who", "what", "eur", "spare"]).sets[0]
    later = events.model_copy(update={"files": "later/*"})
    stated = sources.Mapping(name="t", title="t", sets=[later, events])
    schemas = {"events": tables.RAW_EVENTS.schema}
    missing, found = sources.check(spark, stated, str(tmp_path), schemas, AS_OF)
    assert missing == sources.SetCheck("events", "later/*", is_there=False)
    assert (found.count_records, found.unmapped, found.words, found.failures) == (2, ["spare"], ["buy"], [("occurred_at", 0.5, ["never"])])
    assert (found.new_fields, [row["user_id"] for row in found.sample]) == (["more"], ["(masked)"])
    with pytest.raises(UserError, match=r"no files: below .* nothing matches 'later/\*'"):
        sources.check(spark, stated.model_copy(update={"sets": [later]}), str(tmp_path), schemas, AS_OF)


@pytest.mark.parametrize(
    ("address", "folder", "is_there"),
    [
        ("file:///app/data/b/1.csv", "/app/data", True),
        ("file:/app/data/b/1.csv", "file:///app/data", True),
        ("file:///app/data/b/1.csv", "file:/app/data/", True),
        ("file:///home/me/app/data/b/1.csv", "/app/data", False),
        ("file:///app/data2/b/1.csv", "/app/data", False),
        ("file:///a shop, 50 %/b c/1+1 é.csv", "/a shop, 50 %", True),
        ("dbfs:/Volumes/shop/b/1.csv", "dbfs:/Volumes/shop", True),
        ("dbfs:/Volumes/shop/b/1.csv", "/Volumes/shop", True),
        ("dbfs:/Volumes/shop/b/1.csv", "file:/Volumes/shop", False),
        ("s3a://shop/log/b/1.csv", "s3a://shop/log", True),
        ("s3a://shop/b/1.csv", "s3a://shop", True),
        ("s3a://shop/log/b/1.csv", "s3://shop/log", False),
        ("s3a://shop/log/b/1.csv", "s3a://other/log", False),
        ("s3a://shop/log/b/1.csv", "/log", False),
        ("hdfs://name:8020/log/b/1.csv", "hdfs:///log", True),
    ],
)
def test_a_folder_that_moved_is_told_from_one_that_did_not(address: str, folder: str, is_there: bool) -> None:
    assert is_below(address, folder) is is_there


def test_a_mapping_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes('title = "Épicerie"\n'.encode("latin-1"))
    with pytest.raises(UserError, match=r"mapping file mine\.toml: not UTF-8"):
        sources.load_mapping(str(tmp_path / "mine.toml"))


def test_files_are_absent_only_where_nothing_is(spark: SparkSession, tmp_path: Path) -> None:
    for form in ("csv", "delta"):
        files = mapping(tmp_path, entity="users", columns={"user_id": "who"}, vocabulary={}, files="none", format=form).sets[0]
        assert not sources.are_there(spark, files, str(tmp_path)), form
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "1.csv").write_text("no table")
    assert not sources.are_there(spark, files, str(tmp_path)), "a folder that is no table yet"


def test_every_shipped_mapping_loads_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    assert {"shop", "multicategory", "online_retail", "retailrocket"} <= set(sources.list_mappings())
    (tmp_path / "mine.toml").write_text(
        'title = "x"\n[[sets]]\nentity = "events"\nfiles = "*"\nformat = "xml"\nfields = ["a"]\n[sets.columns]\nuser_id = "a"\n'
    )
    with pytest.raises(UserError, match=r"mapping file mine\.toml: sets\.0\.format"):
        sources.load_mapping(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"vault": ["who"]}, "only a set of users"),
        ({"entity": "users", "vault": ["who", "what"]}, "what must be among personal"),
        ({"entity": "users", "columns": {"user_id": "who"}, "personal": ["mail"], "vault": ["mail"]}, "vault, of fields: no 'mail'"),
        ({"columns": {"userid": "who"}}, "columns of events: no 'userid'; did you mean 'user_id'"),
        ({"columns": {"user_id": "who", "source_file": "what"}}, "columns of events: no 'source_file'; there are event_id, event_type"),
        ({"columns": {"user_id": "who", "received_at": "ts", "batch": "what"}}, "batch, received_at is said of the whole set"),
        ({"keyed": ["offer_id"]}, "keyed, of columns: no 'offer_id'"),
        ({"vocabulary": {"purchases": ["buy"]}}, "vocabulary: no 'purchases'; did you mean 'purchase'"),
    ],
)
def test_a_name_that_is_none_is_refused(tmp_path: Path, changed: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        mapping(tmp_path, **changed)


def test_the_mapping_of_the_guide_gives_what_the_guide_says_is_needed() -> None:
    guide = (home.root() / "docs" / "sources.md").read_text()
    (stated,) = sources.Mapping.model_validate({"name": "t", **tomllib.loads(re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)[0])}).sets
    assert stated.columns.keys() >= {"event_type", "user_id", "occurred_at", "item_id", "quantity", "price", "event_id"}
    needed = guide[guide.index("## What is needed") : guide.index("## Formats")]
    for suite in ("events", "users", "items", "promotions", "past_offers"):
        rules = json.loads((home.root() / "expectations" / f"{suite}.json").read_text())["expectations"]
        missing = {rule["meta"]["reason"].split(":")[0] for rule in rules if rule["meta"]["reason"].endswith(": missing")}
        assert {name for name in missing if f"`{name}`" not in needed} == set(), suite
