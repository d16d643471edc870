"""CPU seconds of commands that build nothing, each as a process of its own.

    python -m benchmarks.cli_start [RUNS]

Prints the median of user and system time of `microplex --help`, `query` and `export`, beside starting
Python alone and importing Dagster. It builds nothing: query and export work on a small warehouse of its own.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb

from benchmarks import CHECKOUT

MICROPLEX = [sys.executable, "-P", "-m", "microplex_pipeline"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "microplex --help": [*MICROPLEX, "--help"],
    "microplex build --help": [*MICROPLEX, "build", "--help"],
    'microplex query "select 1"': [*MICROPLEX, "query", "select 1"],
    "microplex export": [
        *MICROPLEX, "export", "RI", "2014", "--table", "survey.survey", "--format", "csv", "--to", "out",
    ],
    "import dagster": [sys.executable, "-c", "import dagster"],
}  # fmt: skip


def cpu_seconds(command: list[str], folder: Path) -> float:
    """Return user and system seconds of one process and its children."""
    environment = {
        **os.environ,
        "MICROPLEX_CONFIG": str(folder / "microplex.yaml"),
        "PYTHONDONTWRITEBYTECODE": "",  # as by default: modules are compiled once, not in every run
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a line per command."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "microplex.yaml").write_text(
            f"data: {CHECKOUT / 'data'}\nwarehouse: w.duckdb\n", "utf-8"
        )
        with duckdb.connect(str(folder / "w.duckdb")) as warehouse:
            warehouse.execute("create schema survey")
            warehouse.execute(
                "create table survey.survey as select 'RI' as state, 2014 as year, 1 as x"
            )
        for label, command in COMMANDS.items():
            cpu_seconds(command, folder)  # compiles modules, and fills the caches of files
            seconds = statistics.median(cpu_seconds(command, folder) for _ in range(runs))
            print(f"{label:30}{seconds:6.2f} CPU s", flush=True)


if __name__ == "__main__":
    main()
