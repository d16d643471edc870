"""Files that change while a partition is built: what is recorded is what was read."""

import os
import shutil

import dagster as dg
import polars as pl
import pytest

from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.assets import targets as targets_asset
from microplex_pipeline.defs.out_of_date import own_inputs
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.execution.plan import Plan
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.reading import query
from microplex_pipeline_tests.conftest import BRIEF
from microplex_pipeline_tests.warehouse.test_io_manager import failure_of

RI = Partition("RI", 2014)
POPULATION = "targets/bundled_state_population_2010_2019.csv"


@pytest.fixture
def settings(backfilled, tmp_path):
    shutil.copytree(backfilled.folder / "data", tmp_path / "data")
    shutil.copy(backfilled.folder / "w.duckdb", tmp_path)
    return Settings(data=tmp_path / "data", warehouse=tmp_path / "w.duckdb", parameters=BRIEF)


def set_population(settings, persons):
    file = settings.data / POPULATION
    table = pl.read_csv(file, infer_schema=False)
    rhode_island = (pl.col("state") == "RI") & (pl.col("year") == "2014")
    table.with_columns(
        value=pl.when(rhode_island).then(pl.lit(str(persons))).otherwise("value")
    ).write_csv(file)


def build_targets(settings):
    job = build_definitions(settings).resolve_job_def("build_state")
    return job.execute_in_process(
        partition_key="RI|2014", asset_selection=[dg.AssetKey("targets")], raise_on_error=False
    )


def stored_population(settings):
    of = "state = 'RI' and variable = 'n_persons' and domain = 'all'"
    return query(settings.warehouse, f"select value from calibration.targets where {of}").item()


def change_while_computing(monkeypatch, change):
    """Call `change` with the number of the attempt when the targets' files were already read."""
    module = __import__(targets_asset.op.compute_fn.decorated_fn.__module__, fromlist=["targets"])
    compute, attempts = module.state_targets, []

    def disturbed(*args):
        found = compute(*args)
        attempts.append(None)
        change(len(attempts))
        return found

    monkeypatch.setattr(module, "state_targets", disturbed)
    return attempts


def test_a_file_saved_after_it_was_read_is_read_again(settings, monkeypatch):
    def change(attempt):
        if attempt == 1:
            set_population(settings, 1_100_000)

    attempts = change_while_computing(monkeypatch, change)
    assert build_targets(settings).success
    assert len(attempts) == 2
    assert stored_population(settings) == 1_100_000
    assert not Plan(build_definitions(settings), settings).stale([targets_asset], RI)


def test_a_file_put_back_meanwhile_is_read_again(settings, monkeypatch):
    """Then the digests before and after are the same, though what was read may be something else."""

    def change(attempt):
        if attempt == 1:
            content = (settings.data / POPULATION).read_bytes()
            set_population(settings, 1_100_000)
            (settings.data / POPULATION).write_bytes(content)

    attempts = change_while_computing(monkeypatch, change)
    assert build_targets(settings).success
    assert len(attempts) == 2


def test_a_file_that_changes_all_the_time_fails_the_step_and_stores_nothing(settings, monkeypatch):
    before = stored_population(settings)
    change_while_computing(monkeypatch, lambda n: set_population(settings, 1_100_000 + n))
    assert failure_of(build_targets(settings)) == (
        f"{POPULATION} changed while it was read, 3 times in a row: build again when it is no longer "
        "being written"
    )
    assert stored_population(settings) == before


def test_an_error_of_a_file_that_was_half_written_is_no_error(settings, monkeypatch):
    def change(attempt):
        if attempt == 1:
            content = (settings.data / POPULATION).read_bytes()
            (settings.data / POPULATION).write_bytes(content)
            raise ValueError("the file ends in the middle of a row")

    change_while_computing(monkeypatch, change)
    assert build_targets(settings).success


def test_a_change_of_the_same_size_and_time_is_seen(settings):
    file, data = settings.data / POPULATION, DataFolder(path=str(settings.data))

    def digests():
        return own_inputs("1", RI, [], ["target_files"], data, BRIEF)["files"]

    before, about = digests(), file.stat()
    file.write_text(file.read_text().replace("1055936", "1055639"))
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert file.stat().st_size == about.st_size
    assert digests() != before
