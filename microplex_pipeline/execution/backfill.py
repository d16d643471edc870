"""Building many partitions: the nation first, then states in parallel, each in a run of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache

import dagster as dg

from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.assets import CHAIN, NATIONAL, SUMMARY
from microplex_pipeline.defs.coverage import BY_SIZE
from microplex_pipeline.defs.reasons import FailedCheck, failed_checks, reasons
from microplex_pipeline.defs.settings import Settings, load_settings
from microplex_pipeline.execution.plan import Plan
from microplex_pipeline.execution.processes import (
    ENDED,
    end_runs_of_dead_processes,
    partition_lock,
)
from microplex_pipeline.execution.runs import STOPPED, run_job
from microplex_pipeline.warehouse.access import RUN_WAIT
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.workers import side_by_side

KILLED = "its process was killed (kill -9, or out of memory); nothing of its last step was stored"
ASSETS = {"build_prior": NATIONAL, "build_state": CHAIN, "report_nation": SUMMARY}


@dataclass(frozen=True)
class Outcome:
    """The outcome of building one partition.

    Attributes
    ----------
    partition : state and year, or year.
    built : names of the assets that were built; empty if all were up to date.
    failure : why it failed, or None.
    seconds : wall time.
    checks : non-blocking checks that failed.
    """

    partition: Partition
    built: list[str]
    failure: str | None
    seconds: float
    checks: Sequence[FailedCheck] = ()


@dataclass(frozen=True)
class Task:
    """One partition of a job's assets to build.

    Attributes
    ----------
    job : name of the job.
    partition : state and year, or year.
    label : tag of the run (microplex/backfill).
    force : whether to build all assets, or only stale ones.
    assets : names of the only ones to build, by a process that leaves the partition's lock to the one that
        started it; None for all of the job's.
    """

    job: str
    partition: Partition
    label: str
    force: bool
    assets: tuple[str, ...] | None = None


def backfill(
    wanted_states: Mapping[int, Sequence[str]], jobs: int, force: bool, label: str
) -> Generator[Outcome]:
    """Build states of years, and yield each partition's outcome once it is known.

    The national models of the years come first; if a year's fail, its states are skipped, with the reason.
    Assets that are up to date are not built again unless `force` is set. One state's failure does not
    affect the others, even if its process dies. Each year's page comes last, with the states built by then.

    Parameters
    ----------
    wanted_states : postal codes of the states to build, by year.
    jobs : number of parallel processes.
    force : whether to build assets that are up to date, too.
    label : tag of all runs (microplex/backfill).
    """
    settings = load_settings()
    # one core per process: threads of several processes would compete for the same cores
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ.setdefault(name, "1")
    _end_lost_runs(settings, ENDED)
    plan = Plan(_definitions(), settings, RUN_WAIT)
    wanted: list[Task] = []
    for year, of_year in wanted_states.items():
        # the largest first, so that no long run starts last
        states = sorted(set(of_year), key=BY_SIZE.index)
        if force or plan.stale(NATIONAL, Partition(None, year)):
            outcome = _build_nation(Task("build_prior", Partition(None, year), label, force), jobs)
            yield outcome
            if outcome.failure:
                reason = f"the year's national models failed: {outcome.failure}"
                yield from (Outcome(Partition(s, year), [], reason, 0.0) for s in states)
                continue
        for partition in (Partition(state, year) for state in states):
            if force or plan.stale(CHAIN, partition):
                wanted.append(Task("build_state", partition, label, force))
            else:
                yield Outcome(partition, [], None, 0.0)
    if jobs == 1:
        yield from (build_partition(task) for task in wanted)
    else:
        yield from _side_by_side(build_partition, wanted, jobs, settings)
    plan = Plan(_definitions(), settings, RUN_WAIT)
    for year in wanted_states:
        if plan.holds("state_report", year) and plan.stale(SUMMARY, Partition(None, year)):
            yield build_partition(Task("report_nation", Partition(None, year), label, force=False))


def _side_by_side(
    work: Callable[[Task], Outcome], tasks: Sequence[Task], jobs: int, settings: Settings
) -> Generator[Outcome]:
    """Build in parallel processes; if one is killed, its task is repeated alone, after the others.

    Alone, it has more memory. If its process dies again, the partition has failed.
    """
    lost: list[Task] = []
    try:
        with closing(side_by_side(work, tasks, jobs)) as done:
            for task, outcome in done:
                if outcome:
                    yield outcome
                else:
                    lost.append(task)
                    _end_lost_runs(settings, ENDED)
        for task in lost:
            with closing(side_by_side(work, [task], 1)) as done:
                for _, outcome in done:
                    yield outcome or Outcome(task.partition, [], KILLED, 0.0)
            _end_lost_runs(settings, ENDED)
    except (KeyboardInterrupt, GeneratorExit):
        _end_lost_runs(settings, STOPPED)
        raise


def _end_lost_runs(settings: Settings, why: str) -> None:
    with dg.DagsterInstance.get() as instance:
        end_runs_of_dead_processes(instance, settings.warehouse, why)


def _build_nation(task: Task, jobs: int) -> Outcome:
    """Build the national models; those that do not need each other at the same time, if `jobs` allow it."""
    if jobs == 1:
        return build_partition(task)
    started = time.monotonic()
    with dg.DagsterInstance.get() as instance, partition_lock(instance, task.partition):
        assets, outcomes = _to_build(task), list[Outcome]()
        for wave in _waves(assets):
            tasks = [replace(task, assets=(asset,)) for asset in wave]
            if len(tasks) == 1:
                outcomes.append(build_assets(tasks[0]))
            else:
                outcomes += _side_by_side(build_assets, tasks, jobs, load_settings())
            if any(outcome.failure for outcome in outcomes):
                break
    failure = next((outcome.failure for outcome in outcomes if outcome.failure), None)
    checks = [check for outcome in outcomes for check in outcome.checks]
    return Outcome(task.partition, assets, failure, time.monotonic() - started, checks)


def _waves(assets: Sequence[str]) -> Iterator[list[str]]:
    """Yield the assets in groups: none needs another of its own group or of a later one."""
    graph = _definitions().resolve_asset_graph()
    parents = {
        key.path[-1]: {parent.path[-1] for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    left = list(assets)
    while left:
        wave = [asset for asset in left if not parents[asset] & set(left)]
        yield wave
        left = [asset for asset in left if asset not in wave]


def build_partition(task: Task) -> Outcome:
    """Build a task's partition in this process, as soon as no other process is building it.

    Assets that another process has built in the meantime are not built again.
    """
    started = time.monotonic()
    with dg.DagsterInstance.get() as instance, partition_lock(instance, task.partition):
        assets = _to_build(task)
        if not assets:
            return Outcome(task.partition, [], None, time.monotonic() - started)
        return build_assets(replace(task, assets=tuple(assets)))


def _to_build(task: Task) -> list[str]:
    if task.force:
        return [asset.key.path[-1] for asset in ASSETS[task.job]]
    plan = Plan(_definitions(), load_settings(), RUN_WAIT)
    return list(plan.stale(ASSETS[task.job], task.partition))


def build_assets(task: Task) -> Outcome:
    """Build a task's named assets in this process; the caller holds the partition's lock."""
    started = time.monotonic()
    settings, assets = load_settings(), list(task.assets or ())
    with dg.DagsterInstance.get() as instance:
        result = run_job(
            settings,
            instance,
            _definitions(),
            task.job,
            task.partition,
            assets=assets,
            tags={"microplex/backfill": task.label},
        )
    seconds = time.monotonic() - started
    checks = failed_checks(result.all_events)
    if not result.success:
        step, why = reasons(result.all_events)[0]
        # a warning often names the cause of a later failure
        warnings = [check for check in checks if check.warning]
        return Outcome(
            task.partition, assets, f"{step}: {why}" if step else why, seconds, warnings
        )
    return Outcome(task.partition, assets, None, seconds, checks)


@cache
def _definitions() -> dg.Definitions:
    return build_definitions(load_settings())
