"""What the annual rebuild requests at its ticks."""

from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.coverage import BY_SIZE, STATES
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.settings import Settings


def tick(when, settings=None, **parameters):
    settings = settings or Settings(parameters=Parameters(**parameters))
    definitions = build_definitions(settings)
    schedule = definitions.get_schedule_def("annual_rebuild")
    context = dg.build_schedule_context(
        scheduled_execution_time=when.replace(tzinfo=ZoneInfo("America/New_York")),
        repository_def=definitions.get_repository_def(),
        resources=definitions.resources,
    )
    return schedule.evaluate_tick(context)


@pytest.mark.parametrize(
    ("when", "year"),
    [
        (datetime(2026, 10, 15, 6), "2025"),
        (datetime(2025, 10, 15, 6), "2024"),
        (datetime(2026, 12, 31, 23, 59), "2025"),  # 2026 is not over for another minute
        (datetime(2027, 1, 1, 12), "2026"),
    ],
)
def test_the_newest_closed_year_is_rebuilt(when, year):
    (request,) = tick(when).run_requests
    assert request.partition_key == year
    assert request.run_key == f"{when:%Y-%m-%d}|{year}"
    assert request.tags["microplex/survey"] == f"survey of 2014, aged to {year}"


def test_a_tick_evaluated_twice_gives_one_run():
    first, second = (tick(datetime(2026, 10, 15, 6)).run_requests[0].run_key for _ in range(2))
    assert first == second


def test_a_year_without_a_survey_is_skipped_with_a_reason_if_configured():
    result = tick(datetime(2026, 10, 15, 6), missing_survey="skip")
    assert not result.run_requests
    assert "no survey covers 2025; the last one covers 2014" in result.skip_message


def follow(tags):
    definitions = build_definitions()
    sensor = definitions.get_sensor_def("states_follow_the_nation")
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(
            definitions.resolve_job_def("build_prior"), tags={"dagster/partition": "2025", **tags}
        )
        event = dg.DagsterEvent("PIPELINE_SUCCESS", "build_prior")
        context = dg.build_run_status_sensor_context(
            sensor_name=sensor.name,
            dagster_instance=instance,
            dagster_run=run,
            dagster_event=event,
        )
        return list(sensor(context))


def test_states_follow_their_national_models_largest_first():
    requests = follow({"microplex/rebuild": "2026-10-15", "microplex/survey": "aged"})
    assert [
        r.partition_key["state"]
        if isinstance(r.partition_key, dict)
        else r.partition_key.keys_by_dimension["state"]
        for r in requests
    ] == BY_SIZE
    assert sorted(BY_SIZE) == sorted(STATES)
    assert requests[0].run_key == "2026-10-15|CA|2025"
    priorities = [int(r.tags["dagster/priority"]) for r in requests]
    assert priorities == sorted(priorities, reverse=True)


def test_national_models_built_by_hand_trigger_no_runs():
    (only,) = follow({})
    assert isinstance(only, dg.SkipReason)
