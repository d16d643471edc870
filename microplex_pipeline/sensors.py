"""What sets runs off by itself, and where failures are written down."""

from __future__ import annotations

import json
from collections.abc import Iterator

import dagster as dg

from microplex_pipeline.data_versions import data_version
from microplex_pipeline.jobs import build_prior, build_state, recalibrate
from microplex_pipeline.partitions import STATES
from microplex_pipeline.resources import DataFolder
from microplex_pipeline.settings import Settings
from microplex_pipeline.warehouse.failures import write_failure
from microplex_pipeline.warehouse.reading import stored_partitions

MINUTE = 60


@dg.sensor(job=recalibrate, minimum_interval_seconds=MINUTE, name="targets_changed")
def targets_changed(
    context: dg.SensorEvaluationContext,
    data: DataFolder,
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Calibrate again what was built, where a state's rows of the targets' files have changed.

    Only the states whose rows changed; survey, models and synthetic records stay as they are.
    """
    now = {
        state: [
            data_version(a, state, data, settings.parameters, [])
            for a in ("targets", "county_weights")
        ]
        for state in STATES
    }
    before = json.loads(context.cursor) if context.cursor else now
    context.update_cursor(json.dumps(now))
    stored = stored_partitions(settings.warehouse).get("calibration.calibrated_population", set())
    changed = [state for state in STATES if now[state] != before.get(state)]
    for state, year in sorted(stored):
        if state in changed:
            yield dg.RunRequest(
                run_key=f"{state}|{year}|{'|'.join(now[state])}",
                partition_key=dg.MultiPartitionKey({"state": state, "year": str(year)}),
            )
    if not changed:
        yield dg.SkipReason("no state's targets changed")


@dg.sensor(job=build_state, minimum_interval_seconds=MINUTE, name="survey_changed")
def survey_changed(
    context: dg.SensorEvaluationContext,
    data: DataFolder,
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Take in a survey's new file: every state and year that was built is built again from it."""
    now = data_version("raw_survey", None, data, settings.parameters, [])
    before = context.cursor or now
    context.update_cursor(now)
    if now == before:
        yield dg.SkipReason("the survey's file and schema are as they were")
        return
    for state, year in sorted(
        stored_partitions(settings.warehouse).get("survey.raw_survey", set())
    ):
        yield dg.RunRequest(
            run_key=f"{state}|{year}|{now}",
            partition_key=dg.MultiPartitionKey({"state": state, "year": str(year)}),
        )


@dg.run_failure_sensor(
    monitored_jobs=[build_prior, build_state, recalibrate],
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="failures_written_down",
)
def failures_written_down(
    context: dg.RunFailureSensorContext, settings: dg.ResourceParam[Settings]
) -> None:
    """Write what failed and why to failures.csv beside the warehouse, a line a step."""
    for event in context.get_step_failure_events():
        failure = event.step_failure_data
        said = failure.user_failure_data.description if failure.user_failure_data else None
        cause = failure.error.cause or failure.error if failure.error else None
        write_failure(
            settings.warehouse,
            context.dagster_run.run_id,
            context.dagster_run.tags.get("dagster/partition", ""),
            event.step_key or "",
            said or (cause.message.strip() if cause else "no reason was given"),
        )


SENSORS = [targets_changed, survey_changed, failures_written_down]
