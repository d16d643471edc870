"""The annual rebuild of the newest closed year in mid-October: the nation first, then every state."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import dagster as dg

from microplex_pipeline.defs.coverage import BY_SIZE
from microplex_pipeline.defs.jobs import build_prior, build_state
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import multi_key, years
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.survey import survey_year

OCTOBER_15TH = "0 6 15 10 *"  # the supplement on a year's incomes is published the next September
TIME_ZONE = "America/New_York"


def newest_year(context: dg.ScheduleEvaluationContext) -> str:
    """Return the last year that was over at the time of the tick in New York."""
    now = context.scheduled_execution_time
    keys = years.get_partition_keys(current_time=now)
    return max(key for key in keys if int(key) < now.astimezone(ZoneInfo(TIME_ZONE)).year)


def refusal(data: dg.ResourceParam[DataFolder], parameters: Parameters, year: str) -> str | None:
    """Return why a year is not rebuilt (no survey covers it and ageing is not wanted), or None."""
    last = survey_year(data.survey_schema, data.path, int(year))
    if int(year) == last or parameters.missing_survey == "age":
        return None
    return (
        f"no survey covers {year}; the last one covers {last}. Drop the survey file of {year} into the "
        "incoming folder, or set parameters.missing_survey to age"
    )


def note(data: dg.ResourceParam[DataFolder], year: str) -> str:
    """Return which survey a year is built from, for the tags of its runs."""
    last = survey_year(data.survey_schema, data.path, int(year))
    return f"survey of {year}" if int(year) == last else f"survey of {last}, aged to {year}"


@dg.schedule(
    job=build_prior,
    cron_schedule=OCTOBER_15TH,
    execution_timezone=TIME_ZONE,
    name="annual_rebuild",
    description="Rebuilds the newest closed year every mid-October: the national models first, then "
    "the 51 states, the largest first. The year follows from the date.",
)
def annual_rebuild(
    context: dg.ScheduleEvaluationContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
) -> dg.RunRequest | dg.SkipReason:
    """Request the national models of the newest closed year; the states follow once they are built."""
    year = newest_year(context)
    if reason := refusal(data, parameters, year):
        return dg.SkipReason(reason)
    tick = f"{context.scheduled_execution_time:%Y-%m-%d}"
    return dg.RunRequest(
        run_key=f"{tick}|{year}",
        partition_key=year,
        tags={"microplex/rebuild": tick, "microplex/survey": note(data, year)},
    )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[build_prior],
    request_job=build_state,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="states_follow_the_nation",
    description="Builds the states after a rebuild of the national models: those named in the run's "
    "tags, or else all, the largest first.",
)
def states_follow_the_nation(
    context: dg.RunStatusSensorContext,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request the states named in the run's tags, or else all, the largest first."""
    tags = context.dagster_run.tags
    tick, year = tags.get("microplex/rebuild"), tags.get("dagster/partition")
    if tick is None or year is None:
        yield dg.SkipReason("the national models were not built by a rebuild")
        return
    wanted = tags.get("microplex/states", "").split()
    for place, state in enumerate(s for s in BY_SIZE if not wanted or s in wanted):
        yield dg.RunRequest(
            run_key=f"{tick}|{state}|{year}",
            partition_key=multi_key(state, year),
            tags={
                "microplex/rebuild": tick,
                "microplex/survey": tags.get("microplex/survey", ""),
                "dagster/priority": str(len(BY_SIZE) - place),
            },
        )
