"""Running a job of the pipeline in this process, and what has to run before it."""

from __future__ import annotations

import uuid

import click

from microplex_pipeline.cli.places import use_dagster_home
from microplex_pipeline.settings import Settings


def succeeds(settings: Settings, job: str, partition: str) -> bool:
    """Run a job on a partition, with its progress on the screen and in Dagster's history."""
    import dagster as dg

    from microplex_pipeline.previews import accept_previews

    accept_previews()
    from microplex_pipeline.definitions import build_definitions
    from microplex_pipeline.progress import shown

    use_dagster_home()
    click.echo(f"{job} {partition}")
    run_id = str(uuid.uuid4())
    with dg.DagsterInstance.get() as instance, shown(instance, run_id):
        result = (
            build_definitions(settings)
            .resolve_job_def(job)
            .execute_in_process(
                instance=instance,
                partition_key=partition,
                run_id=run_id,
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        )
    return result.success


def lacks_national_models(settings: Settings, year: str) -> bool:
    """Return whether a year's national models are missing or out of date."""
    import dagster as dg

    from microplex_pipeline.previews import accept_previews

    accept_previews()
    from microplex_pipeline.assets import NATIONAL
    from microplex_pipeline.definitions import build_definitions
    from microplex_pipeline.plan import Plan

    use_dagster_home()
    with dg.DagsterInstance.get() as instance:
        plan = Plan(build_definitions(settings), settings, instance)
        return bool(plan.stale(NATIONAL, None, year))
