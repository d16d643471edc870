"""What the sensors request at their ticks."""

import shutil
from datetime import datetime

import dagster as dg
import duckdb
import polars as pl
import pytest

from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.code_versions import code_version
from microplex_pipeline.defs.coverage import STATES
from microplex_pipeline.defs.out_of_date import own_inputs
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.warehouse.access import transaction
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.provenance import Stored, write_version
from microplex_pipeline_tests.conftest import CHECKOUT
from microplex_pipeline_tests.defs.test_schedules import follow, tick

READ = {
    "raw_survey": ["survey_files", "survey_schema"],
    "targets": ["target_files"],
    "county_weights": ["county_files"],
}
BUILT = [Partition("RI", 2014), Partition("VT", 2014), Partition("VT", 2013)]


@pytest.fixture
def copied(tmp_path):
    """A project whose targets a test may change, with two built states in its warehouse."""
    shutil.copytree(CHECKOUT / "data", tmp_path / "data")
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute("create schema calibration; create schema survey")
        rows = "select * from (values ('RI', 2014), ('VT', 2014), ('VT', 2013)) t(state, year)"
        connection.execute(f"create table calibration.calibrated_population as {rows}")
        connection.execute(f"create table survey.raw_survey as {rows}")
    settings = Settings(
        data=tmp_path / "data",
        warehouse=tmp_path / "w.duckdb",
        incoming=tmp_path / "incoming",
    )
    built(settings, "first")
    return settings


def built(settings, run):
    """Record that a run made the partitions from the present files."""
    data = DataFolder(path=str(settings.data))
    with transaction(settings.warehouse) as connection:
        for asset, files in READ.items():
            for of in BUILT:
                made_from = own_inputs(
                    code_version(asset), of, [], files, data, settings.parameters
                )
                write_version(connection, asset, of, Stored({**made_from, "parents": {}}, run))


def looked_at(settings, name, cursor):
    """Return what a sensor requests at a tick, and its cursor afterwards."""
    definitions = build_definitions(settings)
    sensor = definitions.get_sensor_def(name)
    context = dg.build_sensor_context(
        cursor=cursor,
        repository_def=definitions.get_repository_def(),
        resources=definitions.resources,
    )
    result = sensor.evaluate_tick(context)
    return result.run_requests, result.cursor


def partitions(requests):
    return [r.partition_key for r in requests]


def with_persons_of_vermont(settings, persons):
    """Write another figure for Vermont 2014; return the file and its former contents."""
    file = settings.data / "targets" / "bundled_state_population_2010_2019.csv"
    once = file.read_text()
    vermont = (pl.col("state") == "VT") & (pl.col("year") == "2014")
    pl.read_csv(file, infer_schema=False).with_columns(
        value=pl.when(vermont).then(pl.lit(persons)).otherwise("value")
    ).write_csv(file)
    return file, once


def test_only_states_whose_targets_changed_are_recalibrated(copied):
    nothing, cursor = looked_at(copied, "targets_changed", None)
    assert not nothing
    with_persons_of_vermont(copied, "640000")
    requests, after = looked_at(copied, "targets_changed", cursor)
    assert partitions(requests) == ["VT|2013", "VT|2014"]
    # requested under the same key until it is rebuilt, which starts no second run
    again, _ = looked_at(copied, "targets_changed", after)
    assert [r.run_key for r in again] == [r.run_key for r in requests]
    built(copied, "second")
    assert not looked_at(copied, "targets_changed", after)[0]


def test_a_change_while_the_sensor_is_off_is_noticed(copied):
    with_persons_of_vermont(copied, "640000")
    requests, _ = looked_at(copied, "targets_changed", None)
    assert partitions(requests) == ["VT|2013", "VT|2014"]


def test_files_that_changed_are_observed(copied):
    def observed(cursor):
        definitions = build_definitions(copied)
        sensor = definitions.get_sensor_def("targets_changed")
        context = dg.build_sensor_context(
            cursor=cursor,
            repository_def=definitions.get_repository_def(),
            resources=definitions.resources,
        )
        result = sensor.evaluate_tick(context)
        return [(e.asset_key.path[-1], e.partition) for e in result.asset_events], result.cursor

    events, cursor = observed(None)
    assert len(events) == 2 * len(STATES)
    with_persons_of_vermont(copied, "640000")
    assert observed(cursor)[0] == [("target_files", "VT")]


def edition(settings, year, change=lambda records: records):
    """Return the records of 2014 as those of another year."""
    records = pl.read_parquet(settings.data / "cps_tax_units.parquet").filter(
        pl.col("year") == 2014
    )
    return change(records.with_columns(year=pl.lit(year, records.schema["year"])))


def dropped(settings, records):
    """Put a file into the incoming folder; return the request made once it has stopped growing."""
    settings.incoming.mkdir()
    records.write_parquet(settings.incoming / "march.parquet")
    growing, cursor = looked_at(settings, "survey_arrived", None)
    assert not growing
    (request,), _ = looked_at(settings, "survey_arrived", cursor)
    return request


def taken_in(settings, request):
    job = build_definitions(settings).resolve_job_def("take_in_survey")
    return job.execute_in_process(run_config=request.run_config, raise_on_error=False)


def test_a_dropped_survey_of_a_new_year_is_imported_and_its_partitions_are_ingested(copied):
    _, cursor = looked_at(copied, "survey_changed", None)
    request = dropped(copied, edition(copied, 2016))
    assert taken_in(copied, request).success
    assert [f.name for f in copied.incoming.rglob("*.parquet")] == ["march.parquet"]
    assert (copied.incoming / "taken" / "march.parquet").exists()
    requests, after = looked_at(copied, "survey_changed", cursor)
    assert {r.job_name for r in requests} == {"ingest"}
    assert partitions(requests) == [f"{state}|2016" for state in STATES]
    again, _ = looked_at(copied, "survey_changed", after)
    assert not again
    (rebuild,) = tick(datetime(2017, 10, 15, 6), settings=copied).run_requests
    assert rebuild.tags["microplex/survey"] == "survey of 2016"


def test_a_later_edition_covers_only_its_own_year(copied):
    folder = copied.data / "surveys" / "cps_tax_units"
    folder.mkdir()
    for year in (2016, 2099):
        edition(copied, year).write_parquet(folder / f"{year}.parquet")
    (rebuild,) = tick(datetime(2018, 10, 15, 6), settings=copied).run_requests
    assert rebuild.tags["microplex/survey"] == "survey of 2016, aged to 2017"


def test_targets_reverted_after_a_build_start_runs_again(copied):
    keys = []
    for number, persons in enumerate(("640000", "626000", "640000")):
        with_persons_of_vermont(copied, persons)
        requests, _ = looked_at(copied, "targets_changed", None)
        keys += [r.run_key for r in requests]
        built(copied, f"run {number}")
    assert len(keys) == len(set(keys)) == 6  # Vermont's two years, three times


def test_targets_reverted_before_a_build_start_nothing(copied):
    file, once = with_persons_of_vermont(copied, "640000")
    file.write_text(once)
    assert not looked_at(copied, "targets_changed", None)[0]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("survey_changed", "cps_tax_units.parquet"),
        ("targets_changed", "targets/bundled_state_population_2010_2019.csv"),
    ],
)
def test_a_file_missing_for_a_moment_triggers_nothing(copied, name, file):
    _, cursor = looked_at(copied, name, None)
    (copied.data / file).rename(copied.data / "away")
    requests, meanwhile = looked_at(copied, name, cursor)
    assert not requests
    (copied.data / "away").rename(copied.data / file)
    requests, after = looked_at(copied, name, meanwhile or cursor)
    assert not requests
    assert after == cursor


def test_broken_links_and_folders_are_ignored(copied):
    copied.incoming.mkdir()
    (copied.incoming / "broken.parquet").symlink_to("nowhere")
    (copied.incoming / "folder.parquet").mkdir()
    edition(copied, 2016).write_parquet(copied.incoming / "whole.parquet")
    _, cursor = looked_at(copied, "survey_arrived", None)
    (request,), _ = looked_at(copied, "survey_arrived", cursor)
    assert request.run_key.startswith("whole.parquet|")


def test_partitions_built_from_an_older_edition_are_rebuilt_nation_first(copied):
    _, cursor = looked_at(copied, "survey_changed", None)
    assert taken_in(copied, dropped(copied, edition(copied, 2014))).success
    requests, _ = looked_at(copied, "survey_changed", cursor)
    nation = [r for r in requests if r.job_name == "build_prior"]
    assert partitions(nation) == ["2014"]  # 2013 still has its own records
    assert nation[0].tags["microplex/states"] == "RI VT"
    followers = follow(nation[0].tags)
    assert [r.partition_key for r in followers] == ["RI|2014", "VT|2014"]
    ingested = partitions(r for r in requests if r.job_name == "ingest")
    assert ingested == [f"{state}|2014" for state in STATES if state not in ("RI", "VT")]


def test_an_invalid_dropped_file_is_refused_with_the_reason_beside_it(copied):
    request = dropped(copied, edition(copied, 2016, lambda records: records.drop("snap")))
    result = taken_in(copied, request)
    assert not result.success
    failure = result.all_events[-1 - next(
        i for i, e in enumerate(reversed(result.all_events)) if e.is_step_failure
    )].step_failure_data.user_failure_data.description  # fmt: skip
    assert failure.startswith(
        "march.parquet lacks columns: snap. The file is now in incoming/refused"
    )
    refused = copied.incoming / "refused"
    assert (refused / "march.parquet").exists()
    assert (refused / "march.txt").read_text() == "march.parquet lacks columns: snap\n"
    assert not (copied.data / "surveys" / "cps_tax_units").exists()


@pytest.mark.parametrize(
    "name", ["../data/cps_tax_units.parquet", "/etc/passwd", "..", "none.parquet"]
)
def test_only_files_in_the_incoming_folder_are_imported(copied, name):
    copied.incoming.mkdir()
    config = {"ops": {"store_by_year": {"config": {"name": name}}}}
    job = build_definitions(copied).resolve_job_def("take_in_survey")
    with pytest.raises(dg.Failure, match=r"is not a file name|there is no file none"):
        job.execute_in_process(run_config=config)


def landed(instance, state, year):
    for asset in ("state_report", "county_report", "official_report"):
        instance.report_runless_asset_event(
            dg.AssetMaterialization(asset, partition=f"{state}|{year}")
        )


def test_the_national_report_is_built_once_the_last_state_is_built(copied):
    definitions = build_definitions(copied)
    with dg.DagsterInstance.ephemeral() as instance:

        def asked(cursor):
            result = dg.evaluate_automation_conditions(
                definitions, instance=instance, cursor=cursor
            )
            page = dg.AssetKey("national_report")
            return sorted(result.get_requested_partitions(page)), result.cursor

        for state in STATES[:-1]:
            landed(instance, state, 2013)
        requested, cursor = asked(None)
        assert requested == []
        landed(instance, STATES[-1], 2013)
        requested, cursor = asked(cursor)
        assert requested == ["2013"]
        requested, cursor = asked(cursor)
        assert requested == []
        landed(instance, "RI", 2013)  # rebuilt
        requested, cursor = asked(cursor)
        assert requested == ["2013"]


def test_the_automation_sensor_targets_the_national_report():
    sensor = build_definitions().get_sensor_def("nation_follows_its_states")
    graph = build_definitions().resolve_asset_graph()
    assert sensor.asset_selection.resolve(graph) == {dg.AssetKey("national_report")}
