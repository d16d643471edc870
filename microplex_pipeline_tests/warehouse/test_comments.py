"""Comments on tables and columns, and hostile names that must not be run as SQL."""

import dagster as dg
import duckdb
import polars as pl
import pytest

from microplex_pipeline.defs.coverage import STATES
from microplex_pipeline.defs.partitions import state_years
from microplex_pipeline.export.reports import NoReport, write_year_report
from microplex_pipeline.warehouse.io_manager import Warehouse
from microplex_pipeline.warehouse.reading import query, stored_partitions

METADATA = {"schema": "things"}
HOSTILE = 'a"; drop table things.described; --'


@pytest.fixture
def warehouse(tmp_path):
    return tmp_path / "w.duckdb"


@pytest.fixture
def store(warehouse):
    def run(description, columns, key="RI|2014"):
        state, year = key.split("|")

        @dg.asset(
            name="described",
            partitions_def=state_years,
            metadata=METADATA,
            description=description,
        )
        def described() -> dg.MaterializeResult[pl.DataFrame]:
            rows = pl.DataFrame(
                {"state": [state], "year": [int(year)], **dict.fromkeys(columns, 1)}
            )
            schema = [dg.TableColumn(name, description=text) for name, text in columns.items()]
            return dg.MaterializeResult(
                value=rows, metadata={"dagster/column_schema": dg.TableSchema(schema)}
            )

        return dg.materialize(
            [described],
            partition_key=key,
            resources={"io_manager": Warehouse(database=warehouse)},
        )

    return run


def comments(warehouse):
    return dict(
        query(
            warehouse,
            "select column_name, comment from duckdb_columns() where table_name = 'described'",
        ).rows()
    )


def test_descriptions_become_comments(store, warehouse):
    store("What it is.", {"b": "the state's share (0 to 1)"})
    assert comments(warehouse) == {
        "state": None, "year": None, "b": "the state's share (0 to 1)",
    }  # fmt: skip
    assert query(warehouse, "select comment from duckdb_tables()")["comment"][0] == "What it is."


def test_comments_follow_their_descriptions(store, warehouse):
    store("Before.", {"b": "before"})
    store("After.", {"b": "after"}, key="VT|2014")
    assert comments(warehouse)["b"] == "after"
    assert query(warehouse, "select comment from duckdb_tables()")["comment"][0] == "After."


def test_hostile_names_and_texts_stay_names_and_texts(store, warehouse):
    text = "'; drop table things.described; --"
    store(text, {HOSTILE: text})
    store(text, {HOSTILE: text}, key="VT|2014")
    assert comments(warehouse)[HOSTILE] == text
    rows = query(warehouse, "select * from things.described order by state")
    assert rows.columns == ["state", "year", HOSTILE]
    assert rows["state"].to_list() == ["RI", "VT"]


def test_foreign_tables_with_hostile_names_are_only_read(warehouse):
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create table kept as select 'RI' as state, 2014 as year")
        connection.execute(
            "create table \"x; drop table kept; --\" as select 'VT' as state, 2013 as year"
        )
    assert stored_partitions(warehouse) == {
        "main.kept": {("RI", 2014)},
        "main.x; drop table kept; --": {("VT", 2013)},
    }


@pytest.mark.parametrize("state", ["../../escaped", "/tmp/escaped", "RI/../..", ""])
def test_pages_are_written_only_for_states(warehouse, tmp_path, state):
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create schema evaluation")
        for table in ("state_report", "national_report"):
            connection.execute(
                f"create table evaluation.{table} as select ? as state, 2014 as year, 'x' as html",
                [state],
            )
    with pytest.raises(NoReport, match="which is not a state"):
        write_year_report(warehouse, tmp_path / "pages", 2014, STATES)
    assert [p.name for p in tmp_path.rglob("*.html")] == []
