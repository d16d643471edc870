"""The warehouse through Dagster: what is stored and replaced, and what stays if something fails."""

import signal
import subprocess
import sys
import textwrap
import threading

import dagster as dg
import duckdb
import numpy as np
import polars as pl
import pytest

from microplex_pipeline.defs.partitions import state_years
from microplex_pipeline.synthesis import TrainingSettings, Transformer, ZeroModel
from microplex_pipeline.warehouse.faults import WarehouseUnreadable
from microplex_pipeline.warehouse.io_manager import Warehouse
from microplex_pipeline.warehouse.reading import query
from microplex_pipeline_tests.warehouse.test_access import another_program

METADATA = {"schema": "things"}


class Rows(dg.Config):
    rows: list[dict]


@dg.asset(partitions_def=state_years, metadata=METADATA)
def table(config: Rows) -> pl.DataFrame:
    return pl.DataFrame(config.rows, infer_schema_length=None)


@dg.asset(partitions_def=state_years, metadata=METADATA)
def doubled(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.col("a") * 2)


@pytest.fixture
def warehouse(tmp_path):
    return tmp_path / "deep" / "warehouse.duckdb"


@pytest.fixture
def store(warehouse):
    def run(key, *rows, assets=(table,)):
        state, year = key.split("|")
        rows = [{"state": state, "year": int(year), **row} for row in rows]
        return dg.materialize(
            [table, doubled],
            selection=[a.key for a in assets],
            partition_key=key,
            resources={"io_manager": Warehouse(database=str(warehouse))},
            run_config={"ops": {"table": {"config": {"rows": rows}}}} if table in assets else None,
            raise_on_error=False,
        )

    return run


def stored(warehouse, name="table"):
    columns = "state, year, a" + (", b" if name == "table" else "")
    return query(warehouse, f"select {columns} from things.{name} order by all").rows()


def failure_of(result):
    event = next(e for e in result.all_events if e.is_step_failure)
    data = event.step_failure_data
    return data.user_failure_data.description if data.user_failure_data else str(data.error)


def test_round_trip_through_a_downstream_asset(store, warehouse):
    assert store(
        "RI|2014", {"a": 1, "b": "x"}, {"a": 2, "b": None}, assets=(table, doubled)
    ).success
    assert stored(warehouse) == [("RI", 2014, 1, "x"), ("RI", 2014, 2, None)]
    assert [row[2] for row in stored(warehouse, "doubled")] == [2, 4]


def test_only_the_partition_needed_is_loaded(store, warehouse):
    store("RI|2014", {"a": 1, "b": "x"})
    store("RI|2013", {"a": 10, "b": "x"})
    store("VT|2014", {"a": 100, "b": "x"})
    assert store("RI|2014", assets=(doubled,)).success
    assert stored(warehouse, "doubled") == [("RI", 2014, 2)]


def test_a_repeated_run_replaces_only_its_partition(store, warehouse):
    store("RI|2014", {"a": 1, "b": "x"})
    store("RI|2013", {"a": 2, "b": "x"})
    store("RI|2014", {"a": 3, "b": "y"}, {"a": 4, "b": "y"})
    assert [row[2] for row in stored(warehouse)] == [2, 3, 4]


def test_columns_are_matched_by_name(store, warehouse):
    store("RI|2014", {"a": 1, "b": "x"})
    assert store("VT|2014", {"b": "y", "a": 2}).success
    assert stored(warehouse)[1] == ("VT", 2014, 2, "y")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "there are no rows to store; the old rows stay"),
        ([{"a": "no number", "b": "x"}], "Could not convert string"),
    ],
)
def test_a_failed_write_keeps_the_old_rows(store, warehouse, rows, message):
    store("RI|2014", {"a": 1, "b": "x"})
    result = store("RI|2014", *rows)
    assert not result.success
    assert message in failure_of(result)
    assert stored(warehouse) == [("RI", 2014, 1, "x")]


def test_columns_that_other_partitions_have_must_not_be_missing(store, warehouse):
    store("RI|2014", {"a": 1, "b": "x"})
    store("VT|2014", {"a": 2, "b": "y"})
    result = store("RI|2014", {"a": 9})
    assert "lack columns that other partitions have: b; the old rows stay" in failure_of(result)
    assert stored(warehouse) == [("RI", 2014, 1, "x"), ("VT", 2014, 2, "y")]


def test_a_table_of_one_partition_takes_the_columns_of_its_new_rows(store, warehouse):
    store("RI|2014", {"a": 1, "b": "x"})
    assert store("RI|2014", {"a": 9, "c": 2.5}).success
    assert query(warehouse, "from things.table").rows() == [("RI", 2014, 9, 2.5)]


def test_new_columns_are_added_and_empty_in_other_partitions(store, warehouse):
    store("RI|2014", {"a": 1, "b": "x"})
    store("VT|2014", {"a": 2, "b": "y"})
    assert store("RI|2014", {"c": [7, 8], "a": 9, "b": "z"}).success
    rows = query(warehouse, "from things.table order by state").rows()
    assert rows == [("RI", 2014, 9, "z", [7, 8]), ("VT", 2014, 2, "y", None)]


def test_what_no_retry_can_mend_is_not_retried(store):
    result = store("RI|2014")
    assert not result.success
    assert not [e for e in result.all_events if e.is_step_restarted or e.is_step_up_for_retry]


def test_an_input_that_was_never_built_is_named(store):
    result = store("RI|2014", assets=(doubled,))
    assert not result.success
    assert "things.table has no rows of this partition: materialize table for it first" in (
        failure_of(result)
    )


def test_metadata_contain_the_table_but_no_path(store, warehouse):
    result = store("RI|2014", {"a": 1, "b": "x"})
    metadata = result.asset_materializations_for_node("table")[0].metadata
    assert metadata["dagster/table_name"].value == "things.table"
    assert metadata["dagster/partition_row_count"].value == 1
    assert str(warehouse.parent) not in str(metadata)


WRITER = """
    import sys
    import dagster as dg
    from microplex_pipeline_tests.warehouse.test_io_manager import table
    from microplex_pipeline.warehouse.io_manager import Warehouse

    state, path = sys.argv[1:]
    for value in range(5):
        row = {"state": state, "year": 2014, "a": value, "b": "x"}
        dg.materialize(
            [table],
            partition_key=f"{state}|2014",
            resources={"io_manager": Warehouse(database=path)},
            run_config={"ops": {"table": {"config": {"rows": [row] * 50}}}},
        )
"""


def test_two_processes_can_write_at_the_same_time(warehouse):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), state, str(warehouse)],
            stderr=subprocess.PIPE,
        )
        for state in ("RI", "VT")
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors.decode()
    assert stored(warehouse) == [("RI", 2014, 4, "x")] * 50 + [("VT", 2014, 4, "x")] * 50


def test_a_step_waits_for_another_program_and_is_tried_again(store, warehouse, monkeypatch):
    store("RI|2014", {"a": 1, "b": "x"})
    monkeypatch.setattr("microplex_pipeline.warehouse.io_manager.RUN_WAIT", 0.2)
    monkeypatch.setattr("microplex_pipeline.warehouse.io_manager.RETRY_AFTER", 0.1)
    with another_program(warehouse, "reads") as holder:
        threading.Timer(1.0, holder.stdin.close).start()
        assert store("RI|2014", {"a": 2, "b": "x"}).success
        holder.wait()
        holder.stdin = None
    assert stored(warehouse) == [("RI", 2014, 2, "x")]


def overwritten(content):
    """Damage every block except the headers."""
    return content[:20_000] + bytes(255 - byte for byte in content[20_000:])


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"not a database" * 1000,
        lambda content: content[:-100_000],
        overwritten,
    ],
)
def test_a_damaged_file_is_reported_and_left_unchanged(store, warehouse, damage):
    store("RI|2014", *({"a": a, "b": str(a) * 9} for a in range(5000)))
    damaged = damage(warehouse.read_bytes())
    warehouse.write_bytes(damaged)
    message = failure_of(store("RI|2014", {"a": 2, "b": "x"}))
    assert message.startswith("the warehouse warehouse.duckdb cannot be opened or read: ")
    assert str(warehouse.parent) not in message
    with pytest.raises(WarehouseUnreadable, match=r"warehouse\.duckdb cannot be opened or read"):
        stored(warehouse)
    assert warehouse.read_bytes() == damaged


def test_a_left_over_write_ahead_log_does_no_harm(store, warehouse):
    store("RI|2014", {"a": 1, "b": "x"})
    warehouse.with_name("warehouse.duckdb.wal").write_bytes(b"remains" * 1000)
    assert store("VT|2014", {"a": 2, "b": "y"}).success
    assert stored(warehouse) == [("RI", 2014, 1, "x"), ("VT", 2014, 2, "y")]


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from microplex_pipeline.warehouse.access import transaction

    with transaction(Path(sys.argv[1])) as connection:
        connection.execute("delete from things.table where state = 'RI'")
        connection.execute("insert into things.table select 'RI', 2014, 9, 'y' from range(100000)")
        if sys.argv[2] == "written":
            connection.execute("commit")
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("when", "rows"), [("writing", [(1, 1)]), ("written", [(100_000, 9)])])
def test_a_process_killed_during_a_transaction_leaves_all_or_nothing(store, warehouse, when, rows):
    store("RI|2014", {"a": 1, "b": "x"})
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(warehouse), when]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert query(warehouse, "select count(*), max(a) from things.table").rows() == rows
    assert store("RI|2014", {"a": 3, "b": "z"}).success
    assert stored(warehouse) == [("RI", 2014, 3, "z")]


FULL = """
    import resource, signal, sys
    import dagster as dg
    from microplex_pipeline_tests.warehouse.test_io_manager import failure_of, table
    from microplex_pipeline.warehouse.io_manager import Warehouse

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
    rows = [{"state": "RI", "year": 2014, "a": i, "b": str(hash(str(i))) * 9} for i in range(9000)]
    result = dg.materialize(
        [table],
        partition_key="RI|2014",
        resources={"io_manager": Warehouse(database=sys.argv[1])},
        run_config={"ops": {"table": {"config": {"rows": rows}}}},
        raise_on_error=False,
    )
    print(failure_of(result))
"""


def test_a_full_disk_is_reported_and_the_old_rows_stay(store, warehouse):
    store("RI|2014", {"a": 1, "b": "x"})
    command = [sys.executable, "-c", textwrap.dedent(FULL), str(warehouse)]
    message = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout
    assert message.startswith("no space is left for the warehouse warehouse.duckdb (")
    assert "free space on its disk, then run this again" in message
    assert stored(warehouse) == [("RI", 2014, 1, "x")]
    assert store("RI|2014", {"a": 2, "b": "x"}).success


def test_a_missing_warehouse_is_reported(warehouse):
    with pytest.raises(FileNotFoundError, match="build a state first"):
        query(warehouse, "select 1")


@pytest.fixture(scope="module")
def models(records):
    transformer = Transformer.fit(records, ["snap"], ["age_head"], np.ones(records.height))
    settings = TrainingSettings(epochs=1, min_steps=1)
    zero = ZeroModel.fit(records, transformer, np.ones(records.height), settings, 0)
    return transformer, zero


def test_models_round_trip(models, records, warehouse):
    transformer, zero = models
    seen = {}

    @dg.asset(partitions_def=state_years, metadata=METADATA)
    def transforms() -> Transformer:
        return transformer

    @dg.asset(partitions_def=state_years, metadata=METADATA)
    def signs() -> ZeroModel:
        return zero

    @dg.asset(partitions_def=state_years, metadata=METADATA)
    def used(transforms: Transformer, signs: ZeroModel) -> pl.DataFrame:
        seen["log_prob"] = signs.log_prob(records, transforms)
        return pl.DataFrame({"state": ["RI"], "year": [2014]})

    @dg.asset(partitions_def=state_years, metadata=METADATA)
    def mixed_up(transforms: ZeroModel) -> pl.DataFrame:
        return pl.DataFrame({"state": ["RI"], "year": [2014]})

    def run(*assets):
        return dg.materialize(
            [transforms, signs, used, mixed_up],
            selection=list(assets),
            partition_key="RI|2014",
            resources={"io_manager": Warehouse(database=str(warehouse))},
            raise_on_error=False,
        )

    assert run(transforms, signs, used).success
    assert run(transforms, signs).success
    np.testing.assert_array_equal(seen["log_prob"], zero.log_prob(records, transformer))
    rows = query(warehouse, "select state, year, kind from things.signs").rows()
    assert rows == [("RI", 2014, "zero_model")]

    assert "expected a stored zero_model, found 'transformer'" in failure_of(run(mixed_up))
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("update things.signs set weights = weights[1:100]::blob")
    assert "the stored zero_model is damaged" in failure_of(run(used))
