"""The annual rebuild: in mid-October the newest closed year, nation first, then every state."""

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

OCTOBER_15TH = "0 6 15 10 *"  # the supplement of a year's incomes is out in September of the next
TIME_ZONE = "America/New_York"


def newest_year(context: dg.ScheduleEvaluationContext) -> str:
    """Return the last year that was over at the tick, by New York's clock."""
    now = context.scheduled_execution_time
    keys = years.get_partition_keys(current_time=now)
    return max(key for key in keys if int(key) < now.astimezone(ZoneInfo(TIME_ZONE)).year)


def refusal(data: dg.ResourceParam[DataFolder], parameters: Parameters, year: str) -> str | None:
    """Return why a year is not rebuilt, or None: no survey covers it, and ageing is not wanted."""
    last = survey_year(data.survey_schema, data.path, int(year))
    if int(year) == last or parameters.missing_survey == "age":
        return None
    return (
        f"no survey covers {year}, the last one is of {last}: drop its file into the incoming folder, "
        "or set parameters.missing_survey to age"
    )


def note(data: dg.ResourceParam[DataFolder], year: str) -> str:
    """Return on what survey a year's build rests, for its runs' tags."""
    last = survey_year(data.survey_schema, data.path, int(year))
    return f"survey of {year}" if int(year) == last else f"survey of {last}, aged to {year}"


@dg.schedule(
    job=build_prior,
    cron_schedule=OCTOBER_15TH,
    execution_timezone=TIME_ZONE,
    name="annual_rebuild",
    description="In mid-October rebuilds the newest closed year: the nation's models first, then 51 "
    "states, the largest first. No year is written here: what is newest is read off the date.",
)
def annual_rebuild(
    context: dg.ScheduleEvaluationContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
) -> dg.RunRequest | dg.SkipReason:
    """Ask for the nation's models of the newest closed year; the states follow when they are there."""
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
    description="After a rebuild's national models, runs the states that it names, or all, the largest "
    "first.",
)
def states_follow_the_nation(
    context: dg.RunStatusSensorContext,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """After a rebuild's national models, run the states that it names, or all, the largest first."""
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
