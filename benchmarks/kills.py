"""Kills a build with kill -9 in every step: what is left, and what a repeated build gives.

python -m benchmarks.kills FOLDER         prints a Markdown table; takes about ten minutes on two cores
python -m benchmarks.kills FOLDER N SEED  kills N builds and backfills at random moments

The first: a state is built with one seed and short training. Then it is built again and again with another
seed, and killed in a different step each time. Afterwards, every table must be either unchanged or the same
as after an undisturbed build with the new seed; a backfill must then make all tables the latter.

The second: two states are built with one seed. Then, with another seed, `build` of one state or `backfill
--jobs 2` of both is killed after a random time; every other time one of the backfill's processes instead.
The same backfill, run again, must give the bytes of an undisturbed one.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

import duckdb
import yaml

from benchmarks import CHECKOUT
from benchmarks.same_tables import digests
from microplex_pipeline.defs.assets import CHAIN, NATIONAL

STEPS = [asset.key.path[-1] for asset in (*NATIONAL, *CHAIN)]
BRIEF = {
    "sample": {"records": 6000, "held_out": 2000},
    "prior": {"epochs": 2, "min_steps": 20},
    "fine_tuning": {"epochs": 2},
    "population": {"households": 1500},
}
BRIEFEST = {
    **BRIEF,
    "prior": {"epochs": 1},
    "fine_tuning": {"epochs": 1},
    "completion": {"epochs": 1},
    "population": {"households": 800},
}
RELEASED = 20.0  # seconds, at most, until a killed backfill's processes have ended
PREAMBLE = [sys.executable, "-m", "microplex_pipeline"]
BUILD = [*PREAMBLE, "build", "RI", "2014"]
AGAIN = [*PREAMBLE, "backfill", "--states", "RI", "--year", "2014", "--jobs", "1"]
BOTH = [*PREAMBLE, "backfill", "--states", "RI,VT", "--year", "2014", "--jobs", "2"]


def main() -> None:
    folder = Path(sys.argv[1])
    if len(sys.argv) > 2:
        at_random(folder, int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    else:
        in_every_step(folder)


def in_every_step(folder: Path) -> None:
    old, new = folder / "old", folder / "new"
    (old / "home").mkdir(parents=True)
    shutil.copyfile(CHECKOUT / "dagster.yaml", old / "home" / "dagster.yaml")
    configure(old, seed=0)
    subprocess.run(BUILD, env=environment(old), check=True, stdout=subprocess.DEVNULL)
    before = contents(old)
    shutil.copytree(old, new)
    configure(new, seed=1)
    subprocess.run(BUILD, env=environment(new), check=True, stdout=subprocess.DEVNULL)
    after = contents(new)
    print("| killed in | tables new | as before | neither | repeated | as undisturbed |")
    print("| --- | --- | --- | --- | --- | --- |")
    for step in STEPS:
        project = Path(shutil.copytree(old, folder / step))
        configure(project, seed=1)
        kill_in(step, project)
        left = contents(project)
        fresh = [t for t in left if left[t] == after[t] != before[t]]
        kept = [t for t in left if left[t] == before[t]]
        neither = [t for t in left if t not in fresh and t not in kept]
        started = time.monotonic()
        again = subprocess.run(AGAIN, env=environment(project), capture_output=True, text=True)
        seconds = time.monotonic() - started
        repeated = f"exit code {again.returncode}, {seconds:.0f} s"
        finally_new = {t: h for t, h in contents(project).items() if t in after} == after
        print(
            f"| {step} | {len(fresh)} | {len(kept)} | {', '.join(neither) or 'none'} | {repeated} "
            f"| {'yes' if finally_new else 'no'} |",
            flush=True,
        )
        shutil.rmtree(project)


def at_random(folder: Path, times: int, seed: int) -> None:
    old, new = folder / "old", folder / "new"
    (old / "home").mkdir(parents=True)
    shutil.copyfile(CHECKOUT / "dagster.yaml", old / "home" / "dagster.yaml")
    configure(old, seed=0, parameters=BRIEFEST)
    subprocess.run(BOTH, env=environment(old), check=True, stdout=subprocess.DEVNULL)
    shutil.copytree(old, new)
    configure(new, seed=1, parameters=BRIEFEST)
    started = time.monotonic()
    subprocess.run(BOTH, env=environment(new), check=True, stdout=subprocess.DEVNULL)
    undisturbed = time.monotonic() - started
    before, after = contents(old), contents(new)
    was, will = digests(old / "w.duckdb"), digests(new / "w.duckdb")
    draw = random.Random(seed)
    equal, mixed, killed, number = 0, 0, 0, 0
    while killed < times:  # a run that ended before its moment came was not killed
        project = Path(shutil.copytree(old, folder / str(number)))
        configure(project, seed=1, parameters=BRIEFEST)
        command = BUILD if number % 3 == 0 else BOTH
        run = subprocess.Popen(
            command, env=environment(project), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        share = 0.5 if command is BUILD else 0.9
        time.sleep(draw.uniform(1.0, undisturbed * share))
        victims = children_of(run.pid) if number % 3 == 2 else []
        if run.poll() is None:
            victim = draw.choice(victims or [run.pid])
            with suppress(ProcessLookupError):  # a worker that has just ended
                os.kill(victim, signal.SIGKILL)
            killed += 1
        run.wait()
        wait_for_release(project / "w.duckdb")
        partly = digests(project / "w.duckdb")
        mixed += any(h not in (was.get(key), will.get(key)) for key, h in partly.items())
        again = subprocess.run(BOTH, env=environment(project), capture_output=True, text=True)
        found = contents(project)
        if again.returncode == 0 and found == after:
            equal += 1
            shutil.rmtree(project)
        else:  # kept, so that it can be looked at
            differs = sorted(key for key in after | found if found.get(key) != after.get(key))
            print(f"{project.name}: exit code {again.returncode}, differs: {differs}", flush=True)
            print(again.stdout[-2000:], again.stderr[-2000:], flush=True)
        number += 1
        print(
            f"{killed} of {times} kills: {equal} of {number} runs equal, {mixed} with a mixed partition",
            flush=True,
        )
    assert before != after
    print(f"{killed} of {number} runs killed; re-run equal to undisturbed: {equal} of {number}")


def wait_for_release(warehouse: Path) -> None:
    """Wait until the processes of a killed backfill, which end with it, have let go of the file."""
    end = time.monotonic() + RELEASED
    while True:
        try:
            duckdb.connect(str(warehouse), read_only=True).close()
            return
        except duckdb.IOException:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def children_of(process: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True).stdout
    return [int(number) for number in found.split()]


def configure(project: Path, seed: int, parameters: Mapping[str, object] = BRIEF) -> None:
    settings = {
        "data": str(CHECKOUT / "data"),
        "warehouse": "w.duckdb",
        "parameters": {"seed": seed, **parameters},
    }
    (project / "microplex.yaml").write_text(yaml.safe_dump(settings))


def environment(project: Path) -> dict[str, str]:
    return {
        **os.environ,
        "MICROPLEX_CONFIG": str(project / "microplex.yaml"),
        "DAGSTER_HOME": str(project / "home"),
        "PYTHONUNBUFFERED": "1",
    }


def kill_in(step: str, project: Path) -> None:
    """Build the state and kill the process once a step has begun."""
    run = subprocess.Popen(BUILD, env=environment(project), stdout=subprocess.PIPE, text=True)
    for line in cast(IO[str], run.stdout):
        if line.strip() == step:
            break
    else:
        raise SystemExit(f"the build ended before {step} began")
    run.kill()
    run.wait()


def contents(project: Path) -> dict[str, tuple[str, ...]]:
    """Return the digests of every table's partitions."""
    found: dict[str, tuple[str, ...]] = {}
    for (table, _), digest in sorted(digests(project / "w.duckdb").items()):
        found[table] = (*found.get(table, ()), digest)
    return found


if __name__ == "__main__":
    main()
