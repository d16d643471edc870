"""Running a job on a partition in this process, with a record of why it failed or stopped."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait

import dagster as dg

from microplex_pipeline.defs.reasons import reasons
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.defs.up_to_date_checks import NAME as UP_TO_DATE
from microplex_pipeline.execution.processes import process_tag
from microplex_pipeline.warehouse.failures import write_failure
from microplex_pipeline.warehouse.partition import Partition

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
SIGNAL_POLL = 0.1  # seconds
STOPPED = "stopped by Ctrl-C or a signal; the unfinished step stored nothing"


def run_job(
    settings: Settings,
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    job: str,
    partition: Partition,
    *,
    run_id: str | None = None,
    assets: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a job, or some of its assets, on a partition, and write failures to failures.csv.

    Raises
    ------
    KeyboardInterrupt
        If the process is interrupted. The run is then marked as canceled, and the process must exit, since
        nothing else stops the running step.
    """
    run_id = run_id or str(uuid.uuid4())
    try:
        result = _in_a_thread(
            lambda: _job_of(definitions, job, assets).execute_in_process(
                instance=instance,
                partition_key=partition.key,
                run_id=run_id,
                run_config=QUIET,
                tags={**process_tag(instance), **(tags or {})},
                raise_on_error=False,
            )
        )
    except KeyboardInterrupt:
        if run := instance.get_run_by_id(run_id):
            instance.report_run_canceled(run, STOPPED)
        raise
    for step, why in reasons(result.all_events):
        write_failure(settings.warehouse, run_id, partition.key, step, why)
    return result


def _job_of(
    definitions: dg.Definitions, name: str, assets: Sequence[str] | None
) -> dg.JobDefinition:
    """Return a job, or the part of it that builds some of its assets and asks their checks."""
    job = definitions.resolve_job_def(name)
    if assets is None:
        return job
    keys = {dg.AssetKey(asset) for asset in assets}
    graph = definitions.resolve_asset_graph()
    # as in the job itself, what was just built is not asked whether it is up to date
    checks = {c for key in keys for c in graph.get(key).check_keys if c.name != UP_TO_DATE}
    return job.get_subset(asset_selection=keys, asset_check_selection=checks)


def _in_a_thread(work: Callable[[], dg.ExecuteInProcessResult]) -> dg.ExecuteInProcessResult:
    """Do the work in another thread and return its result.

    In the main thread, Dagster and DuckDB would each handle signals themselves, and long steps would delay
    the reaction to them.
    """
    outcome: Future[dg.ExecuteInProcessResult] = Future()

    def call() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    # a signal may be delivered to any thread, and does not end a wait without a timeout in this one
    while not outcome.done():
        wait([outcome], timeout=SIGNAL_POLL)
    return outcome.result()
