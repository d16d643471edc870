"""Runs a job of the pipeline in this process, and finds out what has to run before it."""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, NoReturn

import click

from microplex_pipeline.cli.places import use_dagster_home

if TYPE_CHECKING:
    import dagster as dg

    from microplex_pipeline.defs.settings import Settings
    from microplex_pipeline.warehouse.partition import Partition


def run(settings: Settings, job: str, partition: Partition) -> dg.ExecuteInProcessResult:
    """Run a job on a partition; its progress is shown on the screen and kept in Dagster's history."""
    import dagster as dg
    from filelock import Timeout

    from microplex_pipeline.definitions import build_definitions
    from microplex_pipeline.execution.processes import partition_lock
    from microplex_pipeline.execution.progress import shown
    from microplex_pipeline.execution.runs import run_job

    use_dagster_home()
    click.echo(f"{job} {partition}")
    run_id = str(uuid.uuid4())
    with dg.DagsterInstance.get() as instance:
        lock = partition_lock(instance, partition)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            click.echo(f"  another process is building {partition}: waiting for it to end")
            lock.acquire()
        with lock, shown(instance, run_id):
            definitions = build_definitions(settings)
            return run_job(settings, instance, definitions, job, partition, run_id=run_id)


def end_with_reasons(result: dg.ExecuteInProcessResult, what: str) -> NoReturn:
    """End with exit code 1; the last lines say what was not done, which steps failed, and why."""
    from microplex_pipeline.defs.reasons import reasons

    click.echo(f"\n{what}:", err=True)
    for step, why in reasons(result.all_events):
        click.secho(f"  {step}: {why}" if step else f"  {why}", fg="red", err=True)
    sys.exit(1)


def lacks_national_models(settings: Settings, year: int) -> bool:
    """Return whether a year's national models are missing or out of date."""
    from microplex_pipeline.definitions import build_definitions
    from microplex_pipeline.defs.assets import NATIONAL
    from microplex_pipeline.execution.plan import Plan
    from microplex_pipeline.warehouse.access import RUN_WAIT
    from microplex_pipeline.warehouse.partition import Partition

    plan = Plan(build_definitions(settings), settings, RUN_WAIT)
    return bool(plan.stale(NATIONAL, Partition(None, year)))


def end_lost_runs(settings: Settings) -> None:
    """Mark runs that were killed or crashed as failed, and say so."""
    import dagster as dg

    from microplex_pipeline.execution.processes import ENDED, end_runs_of_dead_processes

    use_dagster_home()
    with dg.DagsterInstance.get() as instance:
        for ended in end_runs_of_dead_processes(instance, settings.warehouse, ENDED):
            click.echo(f"an earlier run of {ended} ended prematurely and was marked as failed")
