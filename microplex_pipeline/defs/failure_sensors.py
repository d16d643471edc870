"""Sensors that write failures to failures.csv beside the warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from microplex_pipeline.defs.arrivals import take_in_survey
from microplex_pipeline.defs.jobs import (
    build_prior,
    build_state,
    ingest,
    recalibrate,
    report_nation,
)
from microplex_pipeline.defs.reasons import reasons
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.warehouse.failures import write_failure

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
    description="Writes failed steps and checks, with the reason, to failures.csv beside the warehouse.",
)
def failures_written_down(
    context: dg.RunFailureSensorContext, settings: dg.ResourceParam[Settings]
) -> None:
    """Write failed steps and checks to failures.csv beside the warehouse, one line per step.

    A run whose process was killed has no failed step: its line describes the whole run.
    """
    events = [*_checks(context), *context.get_step_failure_events(), context.failure_event]
    _write_down(context, settings, events)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=MONITORED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="failed_checks_written_down",
    description="Writes checks that failed in successful runs to failures.csv beside the warehouse.",
)
def failed_checks_written_down(
    context: dg.RunStatusSensorContext, settings: dg.ResourceParam[Settings]
) -> None:
    """Write non-blocking checks that failed to failures.csv."""
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


FAILURE_SENSORS = [failures_written_down, failed_checks_written_down]
