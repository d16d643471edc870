"""Building many partitions: the nation first, then states side by side, each in a run of its own."""

from __future__ import annotations

import multiprocessing
import os
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache

import dagster as dg

from microplex_pipeline.assets import CHAIN, NATIONAL, SUMMARY
from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.plan import Plan
from microplex_pipeline.previews import accept_previews
from microplex_pipeline.settings import load_settings

KILLED = "its process was killed (kill -9, or no memory left); nothing of its last step was stored"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Outcome:
    """What became of one partition.

    Attributes
    ----------
    partition : state and year, or year.
    built : names of the assets that were built; none where all were up to date.
    failure : why it failed, or None.
    seconds : wall time.
    """

    partition: str
    built: list[str]
    failure: str | None
    seconds: float


def backfill(
    states: Sequence[str], year_keys: Sequence[str], jobs: int, force: bool, label: str
) -> Iterator[Outcome]:
    """Build every state of every year, and yield each partition as it is done.

    Years' national models come first; a year whose models fail has its states left out, with the reason.
    What is up to date is not built again unless `force` is set. One state's failure costs no other, not
    even where its process dies. Last comes each year's page, of the states that are there.

    Parameters
    ----------
    jobs : processes side by side.
    label : tag of all runs (microplex/backfill).
    """
    settings = load_settings()
    # one core a process: threads of several processes only get in each other's way
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with dg.DagsterInstance.get() as instance:
        plan = Plan(_definitions(), settings, instance)

        def outdated(
            assets: Sequence[dg.AssetsDefinition], state: str | None, year: str
        ) -> list[str]:
            return [a.key.path[-1] for a in assets] if force else plan.stale(assets, state, year)

        wanted: list[_Task] = []
        for year in year_keys:
            if national := outdated(NATIONAL, None, year):
                outcome = build_partition("build_prior", year, national, label)
                yield outcome
                if outcome.failure:
                    reason = f"the year's national models failed: {outcome.failure}"
                    yield from (Outcome(f"{s}|{year}", [], reason, 0.0) for s in states)
                    continue
            for state in states:
                if names := outdated(CHAIN, state, year):
                    wanted.append(_Task("build_state", f"{state}|{year}", names, label))
                else:
                    yield Outcome(f"{state}|{year}", [], None, 0.0)
    yield from _in_turn(wanted) if jobs == 1 else _side_by_side(wanted, jobs)
    with dg.DagsterInstance.get() as instance:
        plan = Plan(_definitions(), settings, instance)
        for year in year_keys:
            if plan.holds("state_report", year) and plan.stale(SUMMARY, None, year):
                pages = [a.key.path[-1] for a in SUMMARY]
                yield build_partition("report_nation", year, pages, label)


@dataclass(frozen=True)
class _Task:
    """Arguments of `build_partition`."""

    job: str
    key: str
    assets: Sequence[str]
    label: str

    def run(self) -> Outcome:
        return build_partition(self.job, self.key, self.assets, self.label)


def _in_turn(tasks: Sequence[_Task]) -> Iterator[Outcome]:
    yield from (task.run() for task in tasks)


def _side_by_side(tasks: Sequence[_Task], jobs: int) -> Iterator[Outcome]:
    """Run tasks in processes; those that a killed process took along are run again, one by one.

    A killed process breaks its pool, and whose process it was cannot be told: the one that dies again
    when it runs alone has failed.
    """
    waiting, suspects = deque(tasks), deque[_Task]()
    while waiting or suspects:
        queue = suspects or waiting
        alone = queue is suspects
        processes = 1 if alone else jobs
        pool = ProcessPoolExecutor(
            processes, multiprocessing.get_context("spawn"), initializer=accept_previews
        )
        running: dict[Future[Outcome], _Task] = {}
        try:
            while queue or running:
                while queue and len(running) < processes:
                    task = queue.popleft()
                    running[pool.submit(task.run)] = task
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    yield done.result()
                    del running[done]
        except BrokenProcessPool:
            lost = list(running.values())
            if alone:
                yield from (Outcome(task.key, [], KILLED, 0.0) for task in lost)
            else:
                suspects.extend(lost)
        finally:  # after Ctrl-C nothing that waits is begun
            pool.shutdown(cancel_futures=True)


def build_partition(job: str, key: str, assets: Sequence[str], label: str) -> Outcome:
    """Build some assets of one partition in this process."""
    accept_previews()
    started = time.monotonic()
    with dg.DagsterInstance.get() as instance:
        result = (
            _definitions()
            .resolve_job_def(job)
            .execute_in_process(
                instance=instance,
                partition_key=key,
                asset_selection=[dg.AssetKey(name) for name in assets],
                run_id=str(uuid.uuid4()),
                run_config=QUIET,
                tags={"microplex/backfill": label},
                raise_on_error=False,
            )
        )
    failure = None if result.success else failure_of(result)
    return Outcome(key, list(assets), failure, time.monotonic() - started)


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """Return which step failed first, and why, in the words meant for a person."""
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            if failure.user_failure_data and failure.user_failure_data.description:
                return f"{event.step_key}: {failure.user_failure_data.description}"
            error = failure.error
            cause = error.cause if error is not None and error.cause else error
            return f"{event.step_key}: {cause.message.strip() if cause else 'no reason was given'}"
    return "no step failed, but the run did"


@cache
def _definitions() -> dg.Definitions:
    return build_definitions(load_settings())
