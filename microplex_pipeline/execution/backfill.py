"""Building many partitions: the nation first, then states side by side, each in a run of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache

import dagster as dg

from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.assets import CHAIN, NATIONAL, SUMMARY
from microplex_pipeline.defs.partitions import BY_SIZE
from microplex_pipeline.defs.reasons import FailedCheck, failed_checks, reasons
from microplex_pipeline.defs.settings import Settings, load_settings
from microplex_pipeline.execution.plan import Plan
from microplex_pipeline.execution.processes import (
    ENDED,
    end_runs_of_dead_processes,
    partition_lock,
)
from microplex_pipeline.execution.runs import STOPPED, run_job
from microplex_pipeline.execution.workers import side_by_side

KILLED = "its process was killed (kill -9, or no memory left); nothing of its last step was stored"


@dataclass(frozen=True)
class Outcome:
    """What became of one partition.

    Attributes
    ----------
    partition : state and year, or year.
    built : names of the assets that were built; none where all were up to date.
    failure : why it failed, or None.
    seconds : wall time.
    checks : that it did not pass and that did not stop it.
    """

    partition: str
    built: list[str]
    failure: str | None
    seconds: float
    checks: Sequence[FailedCheck] = ()


def backfill(
    wanted_states: Mapping[str, Sequence[str]], jobs: int, force: bool, label: str
) -> Generator[Outcome]:
    """Build states of years, and yield each partition as it is done.

    Years' national models come first; a year whose models fail has its states left out, with the reason.
    What is up to date is not built again unless `force` is set. One state's failure costs no other, not
    even where its process dies. Last comes each year's page, of the states that are there.

    Parameters
    ----------
    wanted_states : by year.
    jobs : processes side by side.
    label : tag of all runs (microplex/backfill).
    """
    settings = load_settings()
    # one core a process: threads of several processes only get in each other's way
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with dg.DagsterInstance.get() as instance:
        end_runs_of_dead_processes(instance, settings.warehouse, ENDED)
        plan = Plan(_definitions(), settings, instance)

        def outdated(assets: Sequence[dg.AssetsDefinition], state: str | None, year: str) -> bool:
            return force or bool(plan.stale(assets, state, year))

        wanted: list[Task] = []
        for year, of_year in wanted_states.items():
            # the largest first, so that none is left for the end
            states = sorted(set(of_year), key=BY_SIZE.index)
            if outdated(NATIONAL, None, year):
                outcome = build_partition(Task("build_prior", year, label, force))
                yield outcome
                if outcome.failure:
                    reason = f"the year's national models failed: {outcome.failure}"
                    yield from (Outcome(f"{s}|{year}", [], reason, 0.0) for s in states)
                    continue
            for state in states:
                if outdated(CHAIN, state, year):
                    wanted.append(Task("build_state", f"{state}|{year}", label, force))
                else:
                    yield Outcome(f"{state}|{year}", [], None, 0.0)
    if jobs == 1:
        yield from (build_partition(task) for task in wanted)
    else:
        yield from _side_by_side(wanted, jobs, settings)
    with dg.DagsterInstance.get() as instance:
        plan = Plan(_definitions(), settings, instance)
        for year in wanted_states:
            if plan.holds("state_report", year) and plan.stale(SUMMARY, None, year):
                yield build_partition(Task("report_nation", year, label, force=False))


@dataclass(frozen=True)
class Task:
    """A job's assets of one partition: all of them if `force` is set, else those that are stale."""

    job: str
    key: str
    label: str
    force: bool


ASSETS = {"build_prior": NATIONAL, "build_state": CHAIN, "report_nation": SUMMARY}


def _side_by_side(tasks: Sequence[Task], jobs: int, settings: Settings) -> Generator[Outcome]:
    """Build in processes; what a killed one was building is built again, alone, after the others.

    What dies again has failed. Alone it has more memory than beside others.
    """
    lost: list[Task] = []
    try:
        with closing(side_by_side(build_partition, tasks, jobs)) as done:
            for task, outcome in done:
                if outcome:
                    yield outcome
                else:
                    lost.append(task)
                    _end_lost_runs(settings, ENDED)
        for task in lost:
            with closing(side_by_side(build_partition, [task], 1)) as done:
                for _, outcome in done:
                    yield outcome or Outcome(task.key, [], KILLED, 0.0)
            _end_lost_runs(settings, ENDED)
    except (KeyboardInterrupt, GeneratorExit):
        _end_lost_runs(settings, STOPPED)
        raise


def _end_lost_runs(settings: Settings, why: str) -> None:
    with dg.DagsterInstance.get() as instance:
        end_runs_of_dead_processes(instance, settings.warehouse, why)


def build_partition(task: Task) -> Outcome:
    """Build what a task names, in this process, once no other process builds the partition.

    What another one has built meanwhile is not built again.
    """
    started = time.monotonic()
    settings, definitions = load_settings(), _definitions()
    state, _, year = task.key.rpartition("|")
    with dg.DagsterInstance.get() as instance, partition_lock(instance, task.key):
        assets = [asset.key.path[-1] for asset in ASSETS[task.job]]
        if not task.force:
            plan = Plan(definitions, settings, instance)
            assets = plan.stale(ASSETS[task.job], state or None, year)
        if not assets:
            return Outcome(task.key, [], None, time.monotonic() - started)
        result = run_job(
            settings,
            instance,
            definitions,
            task.job,
            task.key,
            assets=assets,
            tags={"microplex/backfill": task.label},
        )
    seconds = time.monotonic() - started
    checks = failed_checks(result.all_events)
    if not result.success:
        step, why = reasons(result.all_events)[0]
        odd = [check for check in checks if check.warning]  # often the cause of what failed later
        return Outcome(task.key, assets, f"{step}: {why}" if step else why, seconds, odd)
    return Outcome(task.key, assets, None, seconds, checks)


@cache
def _definitions() -> dg.Definitions:
    return build_definitions(load_settings())
