"""Steps of a run get what the run itself has stored, as a later run would read it."""

import dagster as dg
import polars as pl
import pytest

from microplex_pipeline.defs.partitions import state_years
from microplex_pipeline.warehouse.io_manager import MADE_FROM, Warehouse
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.provenance import version_of

METADATA = {"schema": "things"}
SEEN = []


def made(value):
    return {"code": str(value), "parents": {}}


@dg.asset(partitions_def=state_years, metadata=METADATA)
def source(context) -> dg.MaterializeResult:
    value = int(context.run.tags["value"])
    frame = pl.DataFrame(
        {
            "state": pl.Series(["RI", "RI"], dtype=pl.Enum(["RI", "VT"])),
            "year": pl.Series([2014, 2014], dtype=pl.Int16),
            "a": pl.Series([value, None], dtype=pl.Int8),
            "b": pl.Series(["x", "y"], dtype=pl.Categorical),
        }
    )
    return dg.MaterializeResult(
        value=frame, metadata={MADE_FROM: dg.MetadataValue.json(made(value))}
    )


@dg.asset(partitions_def=state_years, metadata=METADATA, deps=[source])
def meanwhile(context) -> pl.DataFrame:
    if context.run.tags.get("other"):
        run(context.run.tags["other"], [source], context.resources.io_manager.path)
    return pl.DataFrame({"state": ["RI"], "year": [2014]})


@dg.asset(partitions_def=state_years, metadata=METADATA, deps=[meanwhile])
def sink(context, source: pl.DataFrame) -> pl.DataFrame:
    versions = context.resources.io_manager.loaded_versions("source")
    SEEN.append((source.clone(), versions))
    source.insert_column(0, pl.Series("changed", [1, 2]))  # must not reach other steps
    return pl.DataFrame({"state": ["RI"], "year": [2014]})


@dg.asset(
    partitions_def=state_years,
    metadata=METADATA,
    deps=[sink],
    ins={"few": dg.AssetIn("source", metadata={"columns": ["b", "a"]})},
)
def after(few: pl.DataFrame) -> pl.DataFrame:
    SEEN.append(few)
    return pl.DataFrame({"state": ["RI"], "year": [2014]})


@dg.asset(partitions_def=state_years, metadata=METADATA)
def many() -> pl.DataFrame:
    count = pl.int_range(200_000, eager=True)
    return pl.DataFrame({"count": count}).with_columns(state=pl.lit("RI"), year=pl.lit(2014))


@dg.asset(partitions_def=state_years, metadata=METADATA)
def of_many(many: pl.DataFrame) -> pl.DataFrame:
    SEEN.append(many)
    return pl.DataFrame({"state": ["RI"], "year": [2014]})


def run(value, assets, path, **tags):
    return dg.materialize(
        [source, meanwhile, sink, after, many, of_many],
        selection=[asset.key for asset in assets],
        partition_key="RI|2014",
        resources={"io_manager": Warehouse(path)},
        tags={"value": str(value), **tags},
    )


@pytest.fixture(autouse=True)
def nothing_seen():
    SEEN.clear()


def test_held_rows_are_those_that_a_later_run_reads(tmp_path):
    path = tmp_path / "w.duckdb"
    run(3, [source, meanwhile, sink, after], path)
    run(4, [sink, after], path)
    (held, versions), few, (read, _), few_read = SEEN
    assert held.equals(read)
    assert held.schema == read.schema
    assert few.equals(few_read)
    assert few.columns == ["b", "a"]
    assert versions == {Partition("RI", 2014): version_of(made(3))}


def test_another_run_does_not_change_the_rows_of_a_run(tmp_path):
    path = tmp_path / "w.duckdb"
    run(3, [source, meanwhile, sink], path, other="5")
    rows, versions = SEEN[0]
    assert rows["a"].to_list() == [3, None]
    assert versions == {Partition("RI", 2014): version_of(made(3))}
    run(0, [sink], path)
    rows, versions = SEEN[1]
    assert rows["a"].to_list() == [5, None]
    assert versions == {Partition("RI", 2014): version_of(made(5))}


def test_a_run_gets_nothing_of_the_run_before_it(tmp_path):
    manager = Warehouse(tmp_path / "w.duckdb")

    def again(value, assets):
        return dg.materialize(
            [source, meanwhile, sink, after],
            selection=[asset.key for asset in assets],
            partition_key="RI|2014",
            resources={"io_manager": manager},
            tags={"value": str(value)},
        )

    again(3, [source])
    run(7, [source], manager.path)
    again(0, [sink])
    assert SEEN[0][0]["a"].to_list() == [7, None]


def test_many_rows_stored_in_a_new_table_are_held(tmp_path):
    run(1, [many, of_many], tmp_path / "w.duckdb")
    assert SEEN[0]["count"].to_list() == list(range(200_000))


def test_what_is_large_is_read_from_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("microplex_pipeline.warehouse.held_rows.LARGEST", 10)
    run(3, [source, meanwhile, sink], tmp_path / "w.duckdb", other="5")
    rows, versions = SEEN[0]
    assert rows["a"].to_list() == [5, None]
    assert versions == {Partition("RI", 2014): version_of(made(5))}


def test_rows_can_be_loaded_outside_of_a_run(tmp_path):
    manager = Warehouse(tmp_path / "w.duckdb")
    run(3, [source], manager.path)
    definitions = dg.Definitions([source], resources={"io_manager": manager})
    rows = definitions.load_asset_value(
        "source", partition_key="RI|2014", python_type=pl.DataFrame
    )
    manager.end_loading()
    assert rows["a"].to_list() == [3, None]
