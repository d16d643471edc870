"""Random histories of a project, after each step of which nothing wrong may be called current.

A hypothesis state machine edits settings and every kind of input file (also while a build runs, and with
the old time and size), builds, kills builds, fills the disk, changes the checks' limits, restores the
warehouse, the history of runs or both from an earlier copy, and builds a second warehouse with the same
history. After every step, each partition that `Plan` calls up to date, which is what `microplex status` and
`microplex backfill` go by, is compared with what the same inputs give in an empty warehouse.

`current_project` says which assets these are. They have parameters, files, parents, blocking checks and rows
like all others, and their versions are written and compared by the same code.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import polars as pl
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from benchmarks import CHECKOUT
from benchmarks.current_project import (
    GROWTH,
    JOBS,
    PARTITIONS,
    POPULATION,
    SCHEMA,
    STATES,
    SURVEY,
    base_data,
    build,
    rows_of,
    settings_of,
    variants,
)
from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.execution.plan import Plan
from microplex_pipeline.warehouse.partition import Partition


class Current(RuleBasedStateMachine):
    """A project with two warehouses and one history of runs."""

    base: ClassVar[Path]  # folder with `data` and `home`
    contents: ClassVar[Mapping[str, list[bytes]]]
    clean: ClassVar[dict[Any, dict[str, pl.DataFrame]]] = {}
    context: ClassVar[Any] = multiprocessing.get_context("forkserver")
    counts: ClassVar[dict[str, int]] = {}

    @classmethod
    def prepare(cls, folder: Path) -> None:
        """Make the project from which every sequence starts; all of its partitions can be built."""
        cls.base = folder / "base"
        cls.context.set_forkserver_preload(["benchmarks.current_preload"])
        base_data(cls.base / "data")
        cls.contents = variants(cls.base / "data")
        (cls.base / "home").mkdir()
        shutil.copyfile(CHECKOUT / "dagster.yaml", cls.base / "home" / "dagster.yaml")
        with dg.DagsterInstance.from_config(str(cls.base / "home")):
            pass  # makes its databases
        cls.work = folder
        first = cls()
        first.start()
        for partition in PARTITIONS:
            names = {asset.key.path[-1] for asset in JOBS[partition.state is None][1]}
            lacking = names - set(first._clean(partition))
            assert not lacking, f"{partition}: {lacking} cannot be built, so they are not compared"
        first.teardown()
        cls.counts.clear()

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
        self.done: list[str] = []

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

    def count(self, what: str, *details: object) -> None:
        """Count what was done, for the report."""
        self.changed = True
        self.done.append(" ".join(str(part) for part in (what, *details)))
        self.counts[what] = self.counts.get(what, 0) + 1

    # what a user does

    @rule(file=st.sampled_from([POPULATION, SCHEMA, SURVEY, GROWTH]), number=st.integers(0, 2),
          old_time=st.booleans())  # fmt: skip
    def edit(self, file: str, number: int, old_time: bool) -> None:
        """Save a file with other content, perhaps with the time that it had."""
        self._write(file, number % len(self.contents[file]), old_time)
        self.count("edit of a file", file, number, "with the old time" if old_time else "")

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
        self.count("change of settings", seed, least)

    @rule(other=st.booleans())
    def use_a_warehouse(self, other: bool) -> None:
        """Point the settings at one of two warehouses; the history is the same."""
        self.warehouse = "second.duckdb" if other else "w.duckdb"
        self.count("change of the warehouse", self.warehouse)

    @rule(partition=st.sampled_from(PARTITIONS))
    def build_one(self, partition: Partition) -> None:
        """Build what is stale of a partition."""
        self._in_a_process(partition)
        self.count("build", partition)

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
        self.count("kill -9 of a build", partition, f"after {after:.2f} s")

    @rule(partition=st.sampled_from(PARTITIONS), room=st.integers(0, 3_000_000))
    def fill_the_disk(self, partition: Partition, room: int) -> None:
        """Build while files cannot grow beyond a size: neither the warehouse's nor the history's."""
        self._in_a_process(partition, room=room)
        self.count("full disk", partition, room)

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
        self.count("edit during a build", partition, f"after {after:.2f} s,", file, number)

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
        self.count("copy of the warehouse or the history", what)

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
        self.count("restore of the warehouse or the history", what)

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
        try:
            self._compare()
        except Exception as error:  # what depends on time may not happen again when it is repeated
            print("\n".join(["after", *self.done, f"{error}"]), flush=True)
            raise

    def _compare(self) -> None:
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
                        assert found.equals(right[name]), (
                            f"{name} of {partition} is not current: {_first_difference(found, right[name])}"
                        )
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
            self.seed,
            self.least if partition.state else 0,
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


def _first_difference(found: pl.DataFrame, right: pl.DataFrame) -> str:
    """Return the first column and values that differ, or what else does."""
    if found.columns != right.columns or found.height != right.height:
        return f"{found.shape} for {right.shape}, {set(found.columns) ^ set(right.columns)}"
    for name in right.columns:
        differs = found[name].ne_missing(right[name]).arg_true()
        if len(differs):
            row = differs[0]
            return f"{len(differs)} of {name}, first {found[row, name]!r} for {right[row, name]!r}"
    return "nothing but types"
