"""Builds all states of a year from an empty warehouse, and again after one state's targets changed.

    python -m benchmarks.pipeline                      all 51 states of 2014, two processes
    python -m benchmarks.pipeline --states RI,VT,DE    some of them

Runs `microplex backfill` on a copy of the data in a temporary folder. Prints, and writes to
docs/benchmarks/pipeline.md, the total time, the time per state and what it is spent on, peak memory and the
size of the warehouse.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from benchmarks import CHECKOUT

PAGE = CHECKOUT / "docs" / "benchmarks" / "pipeline.md"
CHANGED = "RI"
TARGETS = "bundled_state_population_2010_2019.csv"
ALONE = ["RI", "CO", "CA"]  # a small, a medium and the largest state


def environment(folder: Path) -> dict[str, str]:
    """Return the environment in which commands use the folder as their project."""
    return {
        **os.environ,
        "MICROPLEX_DATA": str(folder / "data"),
        "MICROPLEX_WAREHOUSE": str(folder / "w.duckdb"),
        "DAGSTER_HOME": str(folder / "home"),
    }


def backfill(folder: Path, year: str, states: str, jobs: int) -> dict[str, Any]:
    """Run `microplex backfill`; return its output lines and wall time."""
    command = [sys.executable, "-m", "microplex_pipeline", "backfill"]
    options = ["--year", year, "--states", states, "--jobs", str(jobs)]
    start = time.monotonic()
    done = subprocess.run(
        [*command, *options], env=environment(folder), cwd=CHECKOUT, capture_output=True, text=True
    )
    seconds = time.monotonic() - start
    print(done.stdout, done.stderr, sep="\n", flush=True)
    done.check_returncode()
    return {"lines": done.stdout.splitlines(), "seconds": seconds}


def shares(folder: Path) -> dict[str, float]:
    """Build a few states again, one after the other; return the seconds spent by kind of work."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.pipeline_shares", *ALONE],
        env={**environment(folder), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def seconds_of_runs(home: Path, began: float) -> pl.DataFrame:
    """Return one row per run that began after a time: job, partition, wall seconds."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return pl.DataFrame(
            [
                {
                    "job": record.dagster_run.job_name,
                    "partition": record.dagster_run.tags.get("dagster/partition", ""),
                    "wall": record.end_time - record.start_time,
                }
                for record in instance.get_run_records()
                if record.start_time and record.end_time and record.start_time >= began
            ]
        )


def change_targets(data: Path) -> None:
    """Change the number of persons of one state."""
    file = data / "targets" / TARGETS
    table = pl.read_csv(file, infer_schema=False)
    of_state = (pl.col("state") == CHANGED) & (pl.col("year") == "2014")
    table.with_columns(
        value=pl.when(of_state).then(pl.lit("1100000")).otherwise("value")
    ).write_csv(file)


def report(
    first: dict[str, Any],
    runs: pl.DataFrame,
    alone: dict[str, float],
    second: dict[str, Any],
    size: int,
    jobs: int,
) -> str:
    """Return the text of the page."""
    states = runs.filter(pl.col("job") == "build_state")
    nation = runs.filter(pl.col("job") == "build_prior")
    idle = 1 - runs["wall"].sum() / (first["seconds"] * jobs)
    spent = {kind: seconds / alone["total"] for kind, seconds in alone.items()}
    built = [line for line in second["lines"] if line.startswith("[") and " in " in line]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    lines = [
        "# The pipeline", "",
        f"`python -m benchmarks.pipeline`: {states.height} states of a year from an empty warehouse, "
        f"{jobs} processes; then again after the number of persons of {CHANGED} changed.", "",
        f"* {first['seconds'] / 60:.1f} minutes in total, {nation['wall'].sum():.0f} s of them for the "
        "national models",
        f"* {states['wall'].mean():.1f} s per state (median {states['wall'].median():.1f} s, longest "
        f"{states['wall'].max():.1f} s, {states.sort('wall')['partition'][-1]})",
        f"* {idle:.0%} of the processes' time is start-up, imports and waiting, for the national models "
        "(built by one process) and for the last state",
        f"* a state built alone ({', '.join(ALONE)}): {alone['total'] / len(ALONE):.1f} s, of which "
        f"{spent['computing']:.0%} computing, {spent['warehouse']:.0%} loading from and storing in "
        f"DuckDB, {spent['dagster']:.0%} Dagster (events, checks, plans)",
        f"* peak memory of a process: {peak:,.0f} MB; size of the warehouse: {size / 1e6:,.0f} MB",
        f"* after one state's targets changed: {second['seconds']:.0f} s; built: "
        + "; ".join(" ".join(line.split("]")[-1].split()) for line in built),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    """Run both backfills and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--year", default="2014")
    parser.add_argument("--states", default="all")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(CHECKOUT / "data", folder / "data")
        (folder / "home").mkdir()
        shutil.copyfile(CHECKOUT / "dagster.yaml", folder / "home" / "dagster.yaml")
        began = time.time()
        which = (arguments.year, arguments.states, arguments.jobs)
        first = backfill(folder, *which)
        runs = seconds_of_runs(folder / "home", began)
        size = (folder / "w.duckdb").stat().st_size
        alone = shares(folder)
        change_targets(folder / "data")
        second = backfill(folder, *which)
    text = report(first, runs, alone, second, size, arguments.jobs)
    PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
