"""What sets runs off by itself, and where failures are written down."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from microplex_pipeline.defs.arrivals import take_in_survey
from microplex_pipeline.defs.assets import SUMMARY
from microplex_pipeline.defs.data_versions import (
    MISSING,
    county_contents,
    survey_contents,
    target_contents,
)
from microplex_pipeline.defs.jobs import (
    build_prior,
    build_state,
    ingest,
    recalibrate,
    report_nation,
)
from microplex_pipeline.defs.partitions import STATES, years
from microplex_pipeline.defs.reasons import reasons
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.warehouse.failures import write_failure
from microplex_pipeline.warehouse.reading import stored_partitions

MINUTE = 60
# in a cursor beside the digests: how many changes were seen. It ends the keys of runs, so that files
# that are as they once were are a change again, but a tick evaluated twice starts nothing twice
CHANGES = "changes"


@dg.sensor(
    job=recalibrate,
    minimum_interval_seconds=MINUTE,
    name="targets_changed",
    description="Calibrates again the built states whose rows of the targets' files have changed; "
    "survey, models and synthetic records stay as they are.",
)
def targets_changed(
    context: dg.SensorEvaluationContext,
    data: DataFolder,
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Compare the states' rows of the targets' files with those of the last tick."""
    if not settings.warehouse.exists():
        yield dg.SkipReason(
            "there is no warehouse: nothing was built that could be calibrated again"
        )
        return
    contents = {
        state: [*target_contents(data, state), *county_contents(data, state)] for state in STATES
    }
    if missing := _missing(contents):
        yield dg.SkipReason(f"{missing}: put it back")
        return
    now = {state: _digest(of) for state, of in contents.items()}
    before = json.loads(context.cursor) if context.cursor else now
    changed = [state for state in STATES if now[state] != before.get(state)]
    count = int(before.get(CHANGES, 0)) + bool(changed)
    context.update_cursor(json.dumps({**now, CHANGES: count}))
    stored = stored_partitions(settings.warehouse).get("calibration.calibrated_population", set())
    for state, year in sorted(stored):
        if state in changed:
            yield dg.RunRequest(
                run_key=f"{state}|{year}|{now[state]}|{count}",
                partition_key=dg.MultiPartitionKey({"state": state, "year": str(year)}),
            )
    if not changed:
        yield dg.SkipReason("no state's targets changed")


@dg.sensor(
    job=take_in_survey,
    minimum_interval_seconds=MINUTE,
    name="survey_arrived",
    description="Verifies a Parquet file that was dropped into the incoming folder, and stores it by "
    "year, or refuses it with the reason beside it.",
)
def survey_arrived(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for the files that have stopped growing since the last tick."""
    now = {}
    for file in sorted(settings.incoming.glob("*.parquet")):
        if file.is_file():  # and no link to nothing
            about = file.stat()
            now[file.name] = f"{about.st_size}|{about.st_mtime_ns}"
    before = json.loads(context.cursor) if context.cursor else {}
    context.update_cursor(json.dumps(now))
    still = [name for name, state in now.items() if before.get(name) == state]
    for name in still:
        yield dg.RunRequest(
            run_key=f"{name}|{now[name]}",
            run_config={"ops": {"store_by_year": {"config": {"name": name}}}},
        )
    if not still:
        yield dg.SkipReason("no Parquet file lies complete in the incoming folder")


@dg.sensor(
    jobs=[ingest, build_prior],
    minimum_interval_seconds=MINUTE,
    name="survey_changed",
    description="Follows a survey's new edition: every state of a year that it newly covers is "
    "ingested; what was built from an older edition is built again, nation first, then the states that "
    "were there.",
)
def survey_changed(
    context: dg.SensorEvaluationContext,
    data: DataFolder,
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Compare the editions that serve each year with those of the last tick."""
    contents = {year: survey_contents(data, int(year)) for year in years.get_partition_keys()}
    if missing := _missing(contents):
        yield dg.SkipReason(f"{missing}: put it back")
        return
    now = {year: _digest(of) for year, of in contents.items()}
    before = json.loads(context.cursor) if context.cursor else now
    changed = [year for year in now if now[year] != before.get(year)]
    count = int(before.get(CHANGES, 0)) + bool(changed)
    context.update_cursor(json.dumps({**now, CHANGES: count}))
    built = stored_partitions(settings.warehouse).get("calibration.calibrated_population", set())
    for year in changed:
        again = sorted(state for state, of_year in built if of_year == int(year))
        if again:
            yield dg.RunRequest(
                job_name=build_prior.name,
                run_key=f"{year}|{now[year]}|{count}",
                partition_key=year,
                tags={"microplex/rebuild": now[year], "microplex/states": " ".join(again)},
            )
        if int(year) in data.survey_years:
            for state in (s for s in STATES if s not in again):
                yield dg.RunRequest(
                    job_name=ingest.name,
                    run_key=f"{state}|{year}|{now[year]}|{count}",
                    partition_key=dg.MultiPartitionKey({"state": state, "year": year}),
                )
    if not changed:
        yield dg.SkipReason("the survey's files and schema are as they were")


def _missing(contents: Mapping[str, Sequence[str]]) -> str | None:
    """Return which file is not there, in the words that stand in the place of its digest."""
    return min((p for of in contents.values() for p in of if p.endswith(MISSING)), default=None)


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


# Any: Dagster does not export the type of a job of assets
MONITORED: Sequence[Any] = [
    build_prior,
    build_state,
    recalibrate,
    ingest,
    report_nation,
    take_in_survey,
]


@dg.run_failure_sensor(
    monitored_jobs=MONITORED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="failures_written_down",
    description="Writes what failed and why to failures.csv beside the warehouse, a line a step.",
)
def failures_written_down(
    context: dg.RunFailureSensorContext, settings: dg.ResourceParam[Settings]
) -> None:
    """Write what failed and why to failures.csv beside the warehouse, a line a step.

    A run whose process was killed has no failed step: the line is the run's.
    """
    events = [*_checks(context), *context.get_step_failure_events(), context.failure_event]
    _write_down(context, settings, events)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=MONITORED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="failed_checks_written_down",
    description="Writes checks that failed in runs that succeeded to failures.csv beside the warehouse.",
)
def failed_checks_written_down(
    context: dg.RunStatusSensorContext, settings: dg.ResourceParam[Settings]
) -> None:
    """Write the checks that failed without stopping their run to failures.csv."""
    _write_down(context, settings, _checks(context))


def _checks(context: dg.RunStatusSensorContext) -> list[dg.DagsterEvent]:
    run = context.dagster_run.run_id
    entries = context.instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    return [entry.get_dagster_event() for entry in entries]


def _write_down(
    context: dg.RunStatusSensorContext, settings: Settings, events: Sequence[dg.DagsterEvent]
) -> None:
    run = context.dagster_run
    partition = run.tags.get("dagster/partition", "")
    for step, why in reasons(events):
        write_failure(settings.warehouse, run.run_id, partition, step, why)


nation_follows_its_states = dg.AutomationConditionSensorDefinition(
    "nation_follows_its_states",
    target=dg.AssetSelection.assets(*SUMMARY),
    description="Builds a year's page when the last of its 51 states has landed, and again when one of "
    "them is built anew.",
)

SENSORS = [
    targets_changed,
    survey_arrived,
    survey_changed,
    nation_follows_its_states,
    failures_written_down,
    failed_checks_written_down,
]
