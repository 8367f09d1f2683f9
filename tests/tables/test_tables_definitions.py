from pyspark.sql import SparkSession

from promoloop import home
from promoloop.tables import TABLES


def test_names_are_unique_and_keys_and_clustering_exist() -> None:
    assert len({table.name for table in TABLES}) == len(TABLES)
    for table in TABLES:
        assert len(set(table.column_names)) == len(table.column_names), table.name
        assert set(table.key) <= set(table.column_names), table.name
        assert set(table.clustering) <= set(table.column_names), table.name


def test_every_table_is_written_by_a_job_that_exists() -> None:
    for table in TABLES:
        assert (home.folder("jobs") / f"{table.written_by}.py").is_file(), table.name


def test_names_follow_the_house_rules() -> None:
    for table in TABLES:
        for column in table.columns:
            if column.type == "timestamp":
                assert column.name.endswith("_at"), f"{table.name}.{column.name}"
            if column.type == "date":
                assert column.name.endswith("_on"), f"{table.name}.{column.name}"
            if column.type == "boolean":
                assert column.name.startswith(("is_", "has_")), f"{table.name}.{column.name}"
            assert column.meaning, f"{table.name}.{column.name}"


def test_each_column_type_parses(spark: SparkSession) -> None:
    for table in TABLES:
        assert [field.name for field in table.schema] == table.column_names
