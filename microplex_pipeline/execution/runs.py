"""Running a job on a partition in this process, with a record of why it failed or stopped."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

import dagster as dg

from microplex_pipeline.defs.reasons import reasons
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.execution.processes import process_tag
from microplex_pipeline.warehouse.failures import write_failure
from microplex_pipeline.warehouse.partition import Partition

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
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
    selection = None if assets is None else [dg.AssetKey(name) for name in assets]
    try:
        result = _in_a_thread(
            lambda: definitions.resolve_job_def(job).execute_in_process(
                instance=instance,
                partition_key=partition.key,
                asset_selection=selection,
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
    return outcome.result()
