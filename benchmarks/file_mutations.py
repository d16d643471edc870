"""Damages every kind of file that users edit, and reads it as the pipeline does.

python -m benchmarks.file_mutations [N]    prints a Markdown table; N mutations per kind, 2000 by default

Each mutated file is read by the public functions. The outcome must be a result, or a declared error with a
message of one line, within 5 seconds of processor time, and nothing may be written. Cases run in child
processes; each child's largest memory is measured. Mutations are seeded: a failure is printed with its number
and can be repeated.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from benchmarks import CHECKOUT
from benchmarks.mutated_files import mutated
from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline.calibration.targets.published import published_targets
from microplex_pipeline.calibration.targets.published_areas import published_area_targets
from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.data_files import DataFileError
from microplex_pipeline.defs.settings import SettingsError, load_settings
from microplex_pipeline.survey import SurveyError, load_schema, read_survey, take_in

DATA = CHECKOUT / "data"
DECLARED = (SettingsError, SurveyError, CalibrationError, DataFileError)
SECONDS = 5.0  # of processor time
PATIENCE = 60.0  # seconds by the clock; other processes may use the machine
MEMORY = 1024  # MB that a child may grow by
BATCH = 250  # cases per child


class Kind(NamedTuple):
    """A kind of files.

    Attributes
    ----------
    file : the file that is mutated, in the folder that `prepare` makes.
    read : reads it as the pipeline does.
    """

    file: str
    read: Callable[[Path], object]


def _targets(folder: Path) -> object:
    sources = load_target_sources(folder / "targets" / "sources.yaml")
    population = DATA / "population_growth.csv"
    counts = {"household": 460_000.0, "tax_unit": 600_000.0}
    published_area_targets(sources, folder / "targets", "RI", 2014)
    return published_targets(
        sources, folder / "targets", "RI", 2014, population, counts, lambda *_: 1.0
    )


def _schema(folder: Path) -> object:
    schema = load_schema(folder / "schema.yaml")
    return read_survey(schema, folder, "RI", 2014)


def _survey(folder: Path) -> object:
    return read_survey(_bundled_schema(), folder, "RI", 2014)


def _taken(folder: Path) -> object:
    schema = _bundled_schema()
    years = take_in(folder / "dropped.parquet", schema, folder, ["RI"], 2025)
    for (
        year
    ) in years:  # what was taken in goes again: the next case must find the folder as it was
        (folder / "surveys" / schema.name / f"{year}.parquet").unlink()
    return years


def _settings(folder: Path) -> object:
    os.environ["MICROPLEX_CONFIG"] = str(folder / "microplex.yaml")
    return load_settings()


def _bundled_schema() -> Any:
    return load_schema(DATA / "surveys" / "cps_tax_units.yaml")


KINDS = {
    "settings": Kind("microplex.yaml", _settings),
    "survey schema": Kind("schema.yaml", _schema),
    "target sources": Kind("targets/sources.yaml", _targets),
    "state targets": Kind("targets/bundled_state_population_2010_2019.csv", _targets),
    "income targets": Kind("targets/bundled_state_household_income_2013.csv", _targets),
    "county targets": Kind("targets/bundled_county_population_2020.csv", _targets),
    "survey": Kind("cps_tax_units.parquet", _survey),
    "later edition": Kind("dropped.parquet", _taken),
}


def prepare(folder: Path) -> None:
    """Write valid files of all kinds, with the survey's records of one state and year."""
    (folder / "targets").mkdir(parents=True)
    (folder / "surveys" / "cps_tax_units").mkdir(parents=True)
    (folder / "microplex.yaml").write_bytes((CHECKOUT / "microplex.yaml").read_bytes())
    (folder / "schema.yaml").write_bytes((DATA / "surveys" / "cps_tax_units.yaml").read_bytes())
    (folder / "targets/sources.yaml").write_bytes((DATA / "targets/sources.yaml").read_bytes())
    for file in sorted((DATA / "targets").glob("*.csv")):
        rows = file.read_text("utf-8").splitlines(keepends=True)
        whole = ",state," not in rows[0]
        some = [r for n, r in enumerate(rows) if n == 0 or whole or ",RI," in r or ",US," in r]
        (folder / "targets" / file.name).write_text("".join(some), "utf-8")
    (folder / "population_growth.csv").write_bytes((DATA / "population_growth.csv").read_bytes())
    records = pl.scan_parquet(DATA / "cps_tax_units.parquet").filter(
        pl.col("state") == "RI", pl.col("year") == 2014
    )
    records.collect().write_parquet(folder / "cps_tax_units.parquet")
    records.collect().write_parquet(folder / "dropped.parquet")


def outcome(kind: Kind, folder: Path) -> str:
    """Read a file; return "result", "refusal", or what went wrong."""
    before = sorted(folder.rglob("*"))
    try:
        kind.read(folder)
    except DECLARED as error:
        message = str(error)
        if not message.isprintable() or len(message) > 6000 or str(folder) in message:
            return f"message {message[:300]!r}"
        found = "refusal"
    except BaseException as error:  # also panics of polars, which are no Exceptions
        return f"{type(error).__name__}: {str(error)[:300]!r}"
    else:
        found = "result"
    return found if sorted(folder.rglob("*")) == before else "files were written"


def run_cases(name: str, numbers: range, folder: Path, tell: Connection) -> None:
    """Run cases in this process; send a line for each."""
    kind = KINDS[name]
    path = folder / kind.file
    valid = path.read_bytes()
    if (undamaged := outcome(kind, folder)) != "result":
        raise SystemExit(f"{name}: the undamaged file gives {undamaged}")
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in numbers:
        path.write_bytes(mutated(valid, kind.file, number))
        started = time.process_time()
        tell.send((number, outcome(kind, folder), time.process_time() - started, 0))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024
    tell.send((-1, "end", 0.0, grown))


class Summary(NamedTuple):
    """What came of a kind's cases; `slowest` in seconds, `memory` in MB."""

    results: int
    refusals: int
    failures: list[str]
    slowest: float
    memory: int


def summary(name: str, cases: int) -> Summary:
    """Run a kind's cases in child processes with a watchdog."""
    spawn = multiprocessing.get_context("spawn")
    found = {"result": 0, "refusal": 0}
    failures, slowest, memory, first = [], 0.0, 0, 0
    while first < cases:
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder) / "project")
            numbers = range(first, min(cases, first + BATCH))
            hear, tell = spawn.Pipe(duplex=False)
            child = spawn.Process(
                target=run_cases, args=(name, numbers, Path(folder) / "project", tell)
            )
            child.start()
            tell.close()
            first = numbers.stop
            last = numbers.start - 1
            while True:
                try:
                    if not hear.poll(PATIENCE):
                        raise EOFError
                    number, what, seconds, grown = hear.recv()
                except EOFError:
                    failures.append(f"{name} {last + 1}: hangs or kills the process")
                    first = last + 2
                    break
                memory = max(memory, grown)
                if number < 0:
                    break
                last = number
                slowest = max(slowest, seconds)
                if what in found:
                    found[what] += 1
                else:
                    failures.append(f"{name} {number}: {what}")
                if seconds > SECONDS:
                    failures.append(f"{name} {number}: {seconds:.1f} s")
            child.kill()
            child.join()
    if memory > MEMORY:
        failures.append(f"{name}: {memory} MB")
    return Summary(found["result"], found["refusal"], failures, slowest, memory)


def main() -> int:
    """Print a row per kind, and every failure."""
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print("| kind | cases | results | refusals | failures | slowest | memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    failures = []
    for name in KINDS:
        of = summary(name, cases)
        failures += of.failures
        print(
            f"| {name} | {cases} | {of.results} | {of.refusals} | {len(of.failures)} | {of.slowest:.1f} s "
            f"| +{of.memory} MB |",
            flush=True,
        )
    print(*failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
