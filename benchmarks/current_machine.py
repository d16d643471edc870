"""Random histories of a project, after each step of which nothing wrong may be called current.

A hypothesis state machine edits settings and every kind of input file (also while a build runs, and with
the old time and size), builds, kills builds, fills the disk, changes the checks' limits, restores the
warehouse, the history of runs or both from an earlier copy, and builds a second warehouse with the same
history. After every step, each partition that `Plan` calls up to date, which is what `microplex status` and
`microplex backfill` go by, is compared with what the same inputs give in an empty warehouse.

The assets are those whose rows cost little: the national sample, the surveys and the targets, of two states
and an aged year. They have parameters, files, parents, blocking checks and rows like all others, and their
versions are written and compared by the same code.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import polars as pl
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from benchmarks import CHECKOUT
from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.assets import national_survey, raw_survey, survey, targets
from microplex_pipeline.defs.parameters import CheckParameters, Parameters, SampleParameters
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.execution.plan import Plan
from microplex_pipeline.execution.processes import ENDED, end_runs_of_dead_processes
from microplex_pipeline.execution.runs import run_job
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.reading import query

YEAR = 2016  # after the last survey, so that growth factors matter
STATES = ("RI", "VT")
PARTITIONS = [Partition(None, YEAR), *(Partition(state, YEAR) for state in STATES)]
JOBS = {
    True: ("build_prior", [national_survey]),
    False: ("build_state", [raw_survey, survey, targets]),
}
SCHEMAS = {"national_survey": "survey", "raw_survey": "survey", "survey": "survey"}

POPULATION = "targets/bundled_state_population_2010_2019.csv"
SCHEMA = "surveys/cps_tax_units.yaml"
SURVEY = "cps_tax_units.parquet"
GROWTH = "growth_factors.csv"
COPIED = (
    SCHEMA, GROWTH, POPULATION, "targets/sources.yaml", "targets/bundled_county_population_2020.csv",
    "targets/bundled_state_household_income_2013.csv", "cps_state_wage_factors.csv",
    "cps_tax_units_columns.csv", "growth_factor_map.csv", "population_growth.csv",
    "targets/bundled_county_population_2010_2019.csv",
)  # fmt: skip


def base_data(folder: Path) -> None:
    """Write a data folder with two whole states and a few records of the others."""
    for name in COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / "data" / name, folder / name)
    records = pl.read_parquet(CHECKOUT / "data" / SURVEY).filter(pl.col("year") == 2014)
    few = pl.col("household_id").rank("dense").over("state") <= 10
    records.filter(pl.col("state").is_in(STATES) | few).write_parquet(folder / SURVEY)


def variants(folder: Path) -> dict[str, list[bytes]]:
    """Return, for each file that is edited, its contents: as it is, and changed so that rows differ."""
    population = (folder / POPULATION).read_text()
    lines = {state: line for line in population.splitlines() for state in STATES
             if f",{state},{YEAR},person,count,persons,all," in line}  # fmt: skip

    def more(state: str) -> bytes:
        line = lines[state]
        cells = line.split(",")
        # as many digits, so that the size of the file stays the same
        cells[8] = f"{int(cells[8]) + 11111}"
        return population.replace(line, ",".join(cells)).encode()

    schema = (folder / SCHEMA).read_text()
    growth = (folder / GROWTH).read_text()
    records = pl.read_parquet(folder / SURVEY)
    other = records.with_columns(weight=pl.col("weight") * 1.1)
    changed = folder / "changed.parquet"
    other.write_parquet(changed)
    head, *rows = growth.splitlines()
    column = head.split(",").index("year")
    grown = [
        row.replace("1.", "2.", 3) if row.split(",")[column] == str(YEAR) else row for row in rows
    ]
    found = {
        POPULATION: [population.encode(), more("RI"), more("VT")],
        SCHEMA: [schema.encode(), schema.replace("title: Current", "title: current").encode()],
        SURVEY: [(folder / SURVEY).read_bytes(), changed.read_bytes()],
        GROWTH: [growth.encode(), "\n".join([head, *grown, ""]).encode()],
    }
    changed.unlink()
    assert all(len(set(contents)) == len(contents) for contents in found.values())
    return found


def settings_of(folder: Path, warehouse: str, seed: int, least: int) -> Settings:
    return Settings(
        data=folder / "data",
        warehouse=folder / warehouse,
        parameters=Parameters(
            seed=seed,
            sample=SampleParameters(records=1000, held_out=200),
            checks=CheckParameters(min_records=least),
        ),
    )


def build(
    home: Path, settings: Settings, partition: Partition, room: int | None = None
) -> dict[str, bool]:
    """Build what is stale of a partition; return the success of the run, if there was one.

    Parameters
    ----------
    room : bytes to which files may grow; None for no limit.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what a full disk prints
    if room is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    definitions = build_definitions(settings)
    job, assets = JOBS[partition.state is None]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        end_runs_of_dead_processes(instance, settings.warehouse, ENDED)
        stale = list(Plan(definitions, settings).stale(assets, partition))
        if not stale:
            return {}
        result = run_job(settings, instance, definitions, job, partition, assets=stale)
        return {"success": result.success}


def rows_of(settings: Settings, asset: str, partition: Partition) -> pl.DataFrame:
    schema = SCHEMAS.get(asset, "calibration")
    state = "US" if partition.state is None else partition.state
    sql = f"from {schema}.{asset} where state = ? and year = ?"
    if asset == "national_survey":  # its rows keep the states of their records
        return query(settings.warehouse, f"from {schema}.{asset} where year = ?", [partition.year])
    return query(settings.warehouse, sql, [state, partition.year])


class Current(RuleBasedStateMachine):
    """A project with two warehouses and one history of runs."""

    base: ClassVar[Path]  # folder with `data` and `home`
    contents: ClassVar[Mapping[str, list[bytes]]]
    clean: ClassVar[dict[Any, dict[str, pl.DataFrame]]] = {}
    context: ClassVar[Any] = multiprocessing.get_context("forkserver")
    counts: ClassVar[dict[str, int]] = {}

    @classmethod
    def prepare(cls, folder: Path) -> None:
        """Make the project from which every sequence starts."""
        cls.base = folder / "base"
        cls.context.set_forkserver_preload([__name__])
        base_data(cls.base / "data")
        cls.contents = variants(cls.base / "data")
        (cls.base / "home").mkdir()
        shutil.copyfile(CHECKOUT / "dagster.yaml", cls.base / "home" / "dagster.yaml")
        with dg.DagsterInstance.from_config(str(cls.base / "home")):
            pass  # makes its databases
        cls.work = folder

    work: ClassVar[Path]

    @initialize()
    def start(self) -> None:
        """Copy the base project."""
        self.folder = self.work / f"run{time.monotonic_ns()}"
        shutil.copytree(self.base, self.folder)
        self.variant = dict.fromkeys(self.contents, 0)
        self.seed, self.least, self.warehouse = 0, 200, "w.duckdb"
        self.kept: dict[str, bool] = {}
        self.changed = True  # since the last backfill

    def teardown(self) -> None:
        """Remove the project."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.counts["history"] = self.counts.get("history", 0) + 1
        if self.counts["history"] % 10 == 0:
            print(f"{self.counts['history']} histories", flush=True)

    @property
    def settings(self) -> Settings:
        """The present settings."""
        return settings_of(self.folder, self.warehouse, self.seed, self.least)

    def count(self, what: str) -> None:
        """Count what was done, for the report."""
        self.changed = True
        self.counts[what] = self.counts.get(what, 0) + 1

    # what a user does

    @rule(file=st.sampled_from([POPULATION, SCHEMA, SURVEY, GROWTH]), number=st.integers(0, 2),
          old_time=st.booleans())  # fmt: skip
    def edit(self, file: str, number: int, old_time: bool) -> None:
        """Save a file with other content, perhaps with the time that it had."""
        self._write(file, number % len(self.contents[file]), old_time)
        self.count("edit of a file")

    def _write(self, file: str, number: int, old_time: bool = False) -> None:
        path = self.folder / "data" / file
        about = path.stat()
        path.write_bytes(self.contents[file][number])
        if old_time:
            os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
        self.variant[file] = number

    @rule(seed=st.integers(0, 1), least=st.sampled_from([200, 200, 100_000]))
    def change_settings(self, seed: int, least: int) -> None:
        """Save other settings."""
        self.seed, self.least = seed, least
        self.count("change of settings")

    @rule(other=st.booleans())
    def use_a_warehouse(self, other: bool) -> None:
        """Point the settings at one of two warehouses; the history is the same."""
        self.warehouse = "second.duckdb" if other else "w.duckdb"
        self.count("change of the warehouse")

    @rule(partition=st.sampled_from(PARTITIONS))
    def build_one(self, partition: Partition) -> None:
        """Build what is stale of a partition."""
        self._in_a_process(partition)
        self.count("build")

    @precondition(lambda self: self.changed)
    @rule()
    def backfill(self) -> None:
        """Build everything that is stale: then as much is current as can be."""
        self.count("backfill")
        nation, *states = PARTITIONS
        self._in_a_process(nation)
        processes = [self._process(partition) for partition in states]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        self.changed = False
        plan = Plan(build_definitions(self.settings), self.settings)
        for partition in PARTITIONS:
            stale = plan.stale(JOBS[partition.state is None][1], partition)
            assert not stale.keys() & self._clean(partition).keys(), f"{partition}: {stale}"

    # what goes wrong

    @rule(partition=st.sampled_from(PARTITIONS), after=st.floats(0.0, 1.5))
    def kill(self, partition: Partition, after: float) -> None:
        """Kill a build with kill -9."""
        self._in_a_process(partition, during=lambda: time.sleep(after), kill=True)
        self.count("kill -9 of a build")

    @rule(partition=st.sampled_from(PARTITIONS), room=st.integers(0, 3_000_000))
    def fill_the_disk(self, partition: Partition, room: int) -> None:
        """Build while files cannot grow beyond a size: neither the warehouse's nor the history's."""
        self._in_a_process(partition, room=room)
        self.count("full disk")

    @rule(partition=st.sampled_from(PARTITIONS), after=st.floats(0.0, 1.0),
          file=st.sampled_from([POPULATION, SCHEMA, SURVEY, GROWTH]), number=st.integers(0, 2))  # fmt: skip
    def edit_during_a_build(
        self, partition: Partition, after: float, file: str, number: int
    ) -> None:
        """Save a file while a build runs."""

        def save() -> None:
            time.sleep(after)
            self._write(file, number % len(self.contents[file]))

        self._in_a_process(partition, during=save)
        self.count("edit during a build")

    @rule(what=st.sampled_from(["w.duckdb", "home"]))
    def keep_a_copy(self, what: str) -> None:
        """Copy the warehouse or the history."""
        source, copy = self.folder / what, self.folder / f"kept-{what}"
        if source.is_dir():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.lock"))
        elif source.exists():
            shutil.copyfile(source, copy)
        self.kept[what] = source.exists()
        self.count("copy of the warehouse or the history")

    @rule(what=st.sampled_from(["w.duckdb", "home"]))
    def restore(self, what: str) -> None:
        """Restore the warehouse or the history alone."""
        if not self.kept.get(what):
            return
        target, copy = self.folder / what, self.folder / f"kept-{what}"
        if copy.is_dir():
            shutil.rmtree(target)
            shutil.copytree(copy, target)
        else:
            target.with_name("w.duckdb.wal").unlink(missing_ok=True)
            shutil.copyfile(copy, target)
        self.count("restore of the warehouse or the history")

    def _in_a_process(
        self,
        partition: Partition,
        room: int | None = None,
        during: Callable[[], None] | None = None,
        kill: bool = False,
    ) -> None:
        process = self._process(partition, room)
        process.start()
        if during:
            during()
        if kill:
            process.kill()
        process.join()

    def _process(self, partition: Partition, room: int | None = None) -> Any:
        arguments = (self.folder / "home", self.settings, partition, room)
        return self.context.Process(target=build, args=arguments)

    # what must hold

    @invariant()
    def nothing_wrong_is_current(self) -> None:
        """Compare what is called current with what an empty warehouse would get."""
        if not hasattr(self, "folder"):
            return
        for warehouse in ("w.duckdb", "second.duckdb"):
            settings = settings_of(self.folder, warehouse, self.seed, self.least)
            if not settings.warehouse.exists():
                continue
            plan = Plan(build_definitions(settings), settings)
            for partition in PARTITIONS:
                assets = JOBS[partition.state is None][1]
                stale = plan.stale(assets, partition)
                for name in (asset.key.path[-1] for asset in assets):
                    if name not in stale:
                        right = self._clean(partition)
                        if (
                            name not in right
                        ):  # a check before it stops it: the whole is not current
                            assert stale, f"{name} of {partition} must not pass its check"
                            continue
                        found = rows_of(settings, name, partition)
                        assert found.equals(right[name]), f"{name} of {partition} is not current"
                        self.counts["partition compared"] = (
                            self.counts.get("partition compared", 0) + 1
                        )

    def _clean(self, partition: Partition) -> dict[str, pl.DataFrame]:
        """Return the rows of a partition that the present inputs give, by asset; those without none fail."""
        own = STATES.index(partition.state) + 1 if partition.state else 0
        population = self.variant[POPULATION]
        key = (
            partition,
            # what a partition's rows may depend on
            self.least if partition.state else self.seed,
            population if population == own else 0,
            *(self.variant[file] for file in (SCHEMA, SURVEY, GROWTH)),
        )
        if key not in self.clean:
            folder = self.work / f"clean{len(self.clean)}"
            shutil.copytree(self.base, folder)
            for file, number in self.variant.items():
                (folder / "data" / file).write_bytes(self.contents[file][number])
            settings = settings_of(folder, "w.duckdb", self.seed, self.least)
            process = self.context.Process(
                target=build, args=(folder / "home", settings, partition)
            )
            process.start()
            process.join()
            plan = Plan(build_definitions(settings), settings)
            assets = JOBS[partition.state is None][1]
            stale = plan.stale(assets, partition)
            names = [asset.key.path[-1] for asset in assets]
            self.clean[key] = {
                name: rows_of(settings, name, partition) for name in names if name not in stale
            }
            shutil.rmtree(folder)
        return self.clean[key]
