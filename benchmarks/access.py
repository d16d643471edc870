"""Readers and writers of one warehouse at the same time: how many get through, and how long they wait.

    python -m benchmarks.access            processes that read and write a warehouse in a loop
    python -m benchmarks.access backfill   600 queries, and one of 60 s, beside a backfill of four states

The first prints a Markdown table for one, two and eight processes, in the same run beside processes that
open DuckDB's file themselves and try again until it opens, as programs without a queue do. The second
builds RI, VT, DE and WY of 2014 undisturbed and beside the readers, and compares the seconds; the reader of
60 s opens the warehouse in the middle of the backfill, three times, each after an undisturbed one. Backfills
alone differ by some seconds; what one of its processes waited is counted from what it tells.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import duckdb
import yaml

from benchmarks import CHECKOUT
from benchmarks.kills import BRIEF, environment
from microplex_pipeline.warehouse.access import READ_ONLY, reading, transaction

STATES, ROWS, COLUMNS = 51, 5000, 40
SECONDS = 4.0
PAUSES = {"read": 0.0, "write": 0.1}  # seconds between transactions; steps of a run take longer
CASES = [(1, 0), (2, 0), (8, 0), (0, 1), (0, 2), (0, 8), (1, 1), (2, 2), (8, 1), (8, 8)]
FOUR = "RI,VT,DE,WY"
QUERIES, AT_ONCE = 600, 4
HELD = 60  # seconds
SECONDS_BEFORE = 20  # seconds of the backfill after which a program opens the warehouse
PAIRS = 3  # backfills with and without a reader that holds the warehouse


class Done(NamedTuple):
    """What one process did: seconds of each transaction, waiting included, and how many failed."""

    seconds: list[float]
    failed: int


@contextmanager
def bare(path: Path, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the file without a queue; try again for 30 seconds."""
    deadline = time.monotonic() + 30
    while True:
        try:
            connection = duckdb.connect(
                str(path), read_only=read_only, config=READ_ONLY if read_only else {}
            )
            break
        except duckdb.IOException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
    with connection:
        if not read_only:
            connection.execute("begin")
        yield connection
        if not read_only:
            connection.execute("commit")


def read(path: Path, queued: bool, number: int) -> None:
    with reading(path) if queued else bare(path, read_only=True) as connection:
        connection.execute("select sum(c3) from things where state = ?", [number]).fetchone()


def write(path: Path, queued: bool, number: int) -> None:
    with transaction(path) if queued else bare(path, read_only=False) as connection:
        connection.execute("delete from things where state = ?", [number])
        connection.execute(rows_of(f"insert into things select {number}"))


def rows_of(start: str) -> str:
    columns = ", ".join(f"hash(range + {i}) % 100000 as c{i}" for i in range(COLUMNS))
    return f"{start}, {columns} from range({ROWS})"


def loop(does: str, path: Path, queued: bool, number: int, answers: multiprocessing.Queue) -> None:
    """Read or write until the time is over."""
    work = {"read": read, "write": write}[does]
    seconds, failed = [], 0
    end = time.monotonic() + SECONDS
    while (start := time.monotonic()) < end:
        try:
            work(path, queued, number)
        except duckdb.Error:
            failed += 1
        else:
            seconds.append(time.monotonic() - start)
        time.sleep(PAUSES[does])
    answers.put((does, Done(seconds, failed)))


def together(path: Path, readers: int, writers: int, queued: bool) -> dict[str, Done]:
    answers: multiprocessing.Queue = multiprocessing.Queue()
    kinds = ["read"] * readers + ["write"] * writers
    processes = [
        multiprocessing.Process(target=loop, args=(does, path, queued, number, answers))
        for number, does in enumerate(kinds)
    ]
    for process in processes:
        process.start()
    found = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    return {
        does: Done(
            [s for name, done in found if name == does for s in done.seconds],
            sum(done.failed for name, done in found if name == does),
        )
        for does in ("read", "write")
    }


def throughput() -> None:
    print("| readers | writers | queue | reads/s | slowest | writes/s | slowest | failed |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "w.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute(rows_of("create table things as select 0 as state"))
            for state in range(1, STATES):
                connection.execute(rows_of(f"insert into things select {state}"))
        read(path, queued=True, number=0)  # DuckDB loads modules for the first parameter
        for readers, writers in CASES:
            for queued in (True, False):
                done = together(path, readers, writers, queued)
                cells = [
                    cell
                    for does in ("read", "write")
                    for cell in (
                        f"{len(done[does].seconds) / SECONDS:.0f}",
                        f"{max(done[does].seconds, default=0):.2f} s",
                    )
                ]
                failed = done["read"].failed + done["write"].failed
                kind = "yes" if queued else "none"
                print(
                    f"| {readers} | {writers} | {kind} | {' | '.join(cells)} | {failed} |",
                    flush=True,
                )


class Backfill(NamedTuple):
    """Seconds that a backfill took, and those that its longest waiting run waited for the warehouse."""

    seconds: float
    waited: float


def backfill(project: Path, force: bool) -> Backfill:
    """Build the four states."""
    command = [sys.executable, "-m", "microplex_pipeline", "backfill", "--year", "2014"]
    options = ["--states", FOUR, "--jobs", "2", *(["--force"] if force else [])]
    start = time.monotonic()
    done = subprocess.run(
        [*command, *options], env=environment(project), capture_output=True, text=True
    )
    seconds = time.monotonic() - start
    print(done.stdout + done.stderr, flush=True)
    done.check_returncode()
    waits: dict[str, float] = defaultdict(float)
    for run, waited in re.findall(r"- ([0-9a-f-]{36}) -.* waited ([0-9.]+) seconds", done.stderr):
        waits[run] += float(waited)
    return Backfill(seconds, max(waits.values(), default=0.0))


def query(project: Path, sql: str) -> tuple[float, int]:
    """Run `microplex query`; return its seconds and exit code."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "microplex_pipeline", "query", sql],
        env=environment(project),
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - start, done.returncode


def beside_a_backfill() -> None:
    with tempfile.TemporaryDirectory() as name:
        project = Path(name)
        (project / "home").mkdir()
        shutil.copyfile(CHECKOUT / "dagster.yaml", project / "home" / "dagster.yaml")
        settings = {"data": str(CHECKOUT / "data"), "warehouse": "w.duckdb", "parameters": BRIEF}
        (project / "microplex.yaml").write_text(yaml.safe_dump(settings))
        backfill(project, force=False)
        alone = backfill(project, force=True)
        answers: list[tuple[float, int]] = []

        def ask() -> None:
            while len(answers) < QUERIES and building.is_alive():
                answers.append(query(project, "select count(*) from survey.survey"))

        building = threading.Thread(target=lambda: taken.append(backfill(project, force=True)))
        taken: list[Backfill] = []
        building.start()
        askers = [threading.Thread(target=ask) for _ in range(AT_ONCE)]
        for asker in askers:
            asker.start()
        building.join()
        for asker in askers:
            asker.join()
        failed = sum(code != 0 for _, code in answers)
        slowest = max(seconds for seconds, _ in answers)
        print(
            f"four states alone {alone.seconds:.0f} s; beside {len(answers)} queries, {AT_ONCE} at a time, "
            f"{taken[0].seconds:.0f} s; queries failed: {failed}, slowest {slowest:.1f} s, median "
            f"{statistics.median(s for s, _ in answers):.1f} s"
        )
        pairs = [(backfill(project, force=True), beside_a_holder(project)) for _ in range(PAIRS)]
        costs = [held.seconds - alone.seconds for alone, held in pairs]
        runs = ", ".join(
            f"{cost:.0f} ({held.seconds:.0f} for {alone.seconds:.0f}, longest waiting {held.waited:.1f})"
            for cost, (alone, held) in zip(costs, pairs, strict=True)
        )
        print(
            f"a reader that holds the warehouse for {HELD} s in the middle of the backfill costs it "
            f"{statistics.median(costs):.0f} s: {runs}"
        )


def beside_a_holder(project: Path) -> Backfill:
    """Build the four states while a program opens the warehouse for 60 s."""

    def hold() -> None:
        time.sleep(SECONDS_BEFORE)
        with bare(project / "w.duckdb", read_only=True):
            time.sleep(HELD)

    holder = multiprocessing.Process(target=hold)
    holder.start()
    built = backfill(project, force=True)
    holder.join()
    if holder.exitcode:
        raise SystemExit("the reader could not open the warehouse")
    return built


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if sys.argv[1:] == ["backfill"]:
        beside_a_backfill()
    else:
        throughput()
