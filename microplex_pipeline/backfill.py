"""Building many partitions: the nation first, then states side by side, each in a run of its own."""

from __future__ import annotations

import multiprocessing
import os
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache

import dagster as dg

from microplex_pipeline.assets import CHAIN, NATIONAL
from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.plan import Plan
from microplex_pipeline.settings import load_settings

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
    What is up to date is not built again unless `force` is set. One state's failure costs no other.

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
        wanted: list[tuple[str, list[str]]] = []
        for year in year_keys:
            national = (
                [a.key.path[-1] for a in NATIONAL] if force else plan.stale(NATIONAL, None, year)
            )
            if national:
                outcome = build_partition("build_prior", year, national, label)
                yield outcome
                if outcome.failure:
                    reason = f"the year's national models failed: {outcome.failure}"
                    yield from (Outcome(f"{s}|{year}", [], reason, 0.0) for s in states)
                    continue
            for state in states:
                names = (
                    [a.key.path[-1] for a in CHAIN] if force else plan.stale(CHAIN, state, year)
                )
                if names:
                    wanted.append((f"{state}|{year}", names))
                else:
                    yield Outcome(f"{state}|{year}", [], None, 0.0)
    if jobs == 1:
        yield from (build_partition("build_state", key, names, label) for key, names in wanted)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(max_workers=jobs, mp_context=context)
    try:
        running = {
            pool.submit(build_partition, "build_state", key, names, label): key
            for key, names in wanted
        }
        for done in as_completed(running):
            if (error := done.exception()) is not None:  # the process died
                yield Outcome(running[done], [], f"its process ended: {error!r}", 0.0)
            else:
                yield done.result()
    finally:  # after Ctrl-C nothing that waits is begun
        pool.shutdown(cancel_futures=True)


def build_partition(job: str, key: str, assets: Sequence[str], label: str) -> Outcome:
    """Build some assets of one partition in this process."""
    warnings.simplefilter("ignore", dg.PreviewWarning)
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
