"""Locks of processes: only one builds a partition at a time, and runs of dead processes are ended.

Every process holds a lock file while it lives, and its runs are tagged with the file's name. The operating
system releases the lock however the process ends, so that a dead process is never mistaken for a live one.
"""

from __future__ import annotations

import atexit
import uuid
from functools import cache
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from microplex_pipeline.warehouse.failures import write_failure
from microplex_pipeline.warehouse.partition import Partition

TAG = "microplex/process"
ENDED = "its process ended before the run did; the step stored nothing. Build it again"
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def process_tag(instance: dg.DagsterInstance) -> dict[str, str]:
    """Return the tag that marks a run as belonging to this process."""
    return {TAG: Path(_held_by_this_process(_folder(instance)).lock_file).stem}


def partition_lock(instance: dg.DagsterInstance, partition: Partition) -> FileLock:
    """Return the lock that a process holds while it builds a partition."""
    return FileLock(_folder(instance) / f"{str(partition).replace(' ', '-')}.lock")


def end_runs_of_dead_processes(
    instance: dg.DagsterInstance, warehouse: Path, why: str
) -> list[str]:
    """Mark the runs of processes that no longer exist as failed, and add them to the list of failures.

    Returns
    -------
    The partition of each of these runs, or its job if it has no partition.
    """
    ended = []
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        name = run.tags.get(TAG)
        if name is None or _lives(file := _folder(instance) / f"{name}.lock"):
            continue
        begun = [s for s in instance.get_run_step_stats(run.run_id) if s.start_time]
        step = next((s.step_key for s in begun if s.end_time is None), "")
        instance.report_run_failed(run, f"{step}: {why}" if step else why)
        partition = run.tags.get("dagster/partition", "")
        write_failure(warehouse, run.run_id, partition, step, why)
        file.unlink(missing_ok=True)
        ended.append(str(Partition.parse(partition)) if partition else run.job_name)
    return ended


def _folder(instance: dg.DagsterInstance) -> Path:
    folder = Path(instance.root_directory) / "processes"
    folder.mkdir(exist_ok=True)
    return folder


@cache  # keeps a reference to the lock, so that it is not released
def _held_by_this_process(folder: Path) -> FileLock:
    lock = FileLock(folder / f"{uuid.uuid4().hex}.lock")
    lock.acquire()
    atexit.register(Path(lock.lock_file).unlink, missing_ok=True)
    return lock


def _lives(file: Path) -> bool:
    if not file.exists():
        return False
    try:
        with FileLock(file, timeout=0):
            return False
    except Timeout:
        return True
