"""All states of a year from an empty warehouse, then again after one state's targets changed.

    python -m benchmarks.pipeline                      all 51 states of 2014, two processes
    python -m benchmarks.pipeline --states RI,VT,DE    some of them

Runs `microplex backfill` on a copy of the data, in a folder of its own. Prints, and writes to
docs/benchmarks/pipeline.md: minutes, seconds a state, where they go, peak memory, size of the warehouse.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from microplex_pipeline.settings import PROJECT

PAGE = PROJECT / "docs" / "benchmarks" / "pipeline.md"
CHANGED = "RI"
TARGETS = "bundled_state_population_2010_2019.csv"
EVENTS = {
    dg.DagsterEventType.STEP_START: "start",
    dg.DagsterEventType.LOADED_INPUT: "loaded",
    dg.DagsterEventType.STEP_OUTPUT: "computed",
    dg.DagsterEventType.HANDLED_OUTPUT: "stored",
    dg.DagsterEventType.STEP_SUCCESS: "end",
}


def backfill(folder: Path, year: str, states: str, jobs: int) -> dict[str, Any]:
    """Run the command; return its lines and its wall time."""
    environment = {
        **os.environ,
        "MICROPLEX_DATA": str(folder / "data"),
        "MICROPLEX_WAREHOUSE": str(folder / "w.duckdb"),
        "DAGSTER_HOME": str(folder / "home"),
    }
    command = [sys.executable, "-m", "microplex_pipeline.cli", "backfill"]
    options = ["--year", year, "--states", states, "--jobs", str(jobs)]
    start = time.monotonic()
    done = subprocess.run(
        [*command, *options], env=environment, cwd=PROJECT, capture_output=True, text=True
    )
    seconds = time.monotonic() - start
    print(done.stdout, done.stderr, sep="\n", flush=True)
    done.check_returncode()
    return {"lines": done.stdout.splitlines(), "seconds": seconds}


def where_time_goes(home: Path, began: float) -> pl.DataFrame:
    """Return a row for each run begun since: job, partition, wall, computing, loading and storing."""
    rows = []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for record in instance.get_run_records():
            if record.start_time is None or record.end_time is None or record.start_time < began:
                continue
            times: dict[str, dict[str, float]] = defaultdict(dict)
            for entry in instance.all_logs(record.dagster_run.run_id, of_type=set(EVENTS)):
                event = entry.dagster_event
                # the last one of a kind: a step loads several inputs
                times[event.step_key][EVENTS[event.event_type]] = entry.timestamp
            computing = storing = 0.0
            for of in times.values():
                if "computed" in of:
                    ready = of.get("loaded", of["start"])
                    computing += of["computed"] - ready
                    storing += (ready - of["start"]) + (
                        of.get("stored", of["computed"]) - of["computed"]
                    )
            rows.append(
                {
                    "job": record.dagster_run.job_name,
                    "partition": record.dagster_run.tags.get("dagster/partition", ""),
                    "wall": record.end_time - record.start_time,
                    "computing": computing,
                    "loading_and_storing": storing,
                }
            )
    return pl.DataFrame(rows)


def change_targets(data: Path) -> None:
    """Raise the persons of one state."""
    file = data / "targets" / TARGETS
    table = pl.read_csv(file, infer_schema=False)
    of_state = (pl.col("state") == CHANGED) & (pl.col("year") == "2014")
    table.with_columns(
        value=pl.when(of_state).then(pl.lit("1100000")).otherwise("value")
    ).write_csv(file)


def report(
    first: dict[str, Any], runs: pl.DataFrame, second: dict[str, Any], size: int, jobs: int
) -> str:
    """Return the page."""
    states = runs.filter(pl.col("job") == "build_state")
    nation = runs.filter(pl.col("job") == "build_prior")
    total = runs.select(pl.exclude("job", "partition").sum()).row(0, named=True)
    processes = first["seconds"] * jobs - total["wall"]
    built = [line for line in second["lines"] if "assets" in line]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    lines = [
        "# The pipeline", "",
        f"`python -m benchmarks.pipeline`: {states.height} states of a year from an empty warehouse, "
        f"{jobs} processes; then again after the persons of {CHANGED} changed.", "",
        f"* {first['seconds'] / 60:.1f} minutes, {nation['wall'].sum():.0f} s of them the nation's "
        "models",
        f"* a state {states['wall'].mean():.1f} s (median {states['wall'].median():.1f}, most "
        f"{states['wall'].max():.1f} s, {states.sort('wall')['partition'][-1]})",
        f"* of the runs' seconds {total['computing'] / total['wall']:.0%} computing, "
        f"{total['loading_and_storing'] / total['wall']:.0%} loading and storing, "
        f"{1 - (total['computing'] + total['loading_and_storing']) / total['wall']:.0%} orchestration "
        f"(events, checks, plans); beside the runs {processes:.0f} s of process start, imports, and a "
        "core's waiting for the nation's models and the last state",
        f"* orchestration, process start and waiting together: "
        f"{1 - (total['computing'] + total['loading_and_storing']) / (first['seconds'] * jobs):.0%} of "
        "all core seconds",
        f"* peak memory of a process {peak:,.0f} MB; the warehouse {size / 1e6:,.0f} MB",
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
        shutil.copytree(PROJECT / "data", folder / "data")
        (folder / "home").mkdir()
        shutil.copyfile(PROJECT / "dagster.yaml", folder / "home" / "dagster.yaml")
        began = time.time()
        which = (arguments.year, arguments.states, arguments.jobs)
        first = backfill(folder, *which)
        runs = where_time_goes(folder / "home", began)
        size = (folder / "w.duckdb").stat().st_size
        change_targets(folder / "data")
        second = backfill(folder, *which)
    text = report(first, runs, second, size, arguments.jobs)
    PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
