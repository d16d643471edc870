"""A small project whose builds take seconds, and the contents that its files can have.

The assets are those whose rows cost little: the national sample, the surveys and the targets, of two states
and an aged year.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
from pathlib import Path

import dagster as dg
import polars as pl

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
    SCHEMA, GROWTH, "cps_state_wage_factors.csv", "cps_tax_units_columns.csv", "growth_factor_map.csv",
    "population_growth.csv",
)  # fmt: skip


def base_data(folder: Path) -> None:
    """Write a data folder with two whole states and a few records of the others."""
    shutil.copytree(CHECKOUT / "data" / "targets", folder / "targets")
    for name in COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / "data" / name, folder / name)
    records = pl.read_parquet(CHECKOUT / "data" / SURVEY)
    few = pl.col("household_id").rank("dense").over("state", "year") <= 10
    in_last = pl.col("year") == pl.col("year").max()
    records.filter(pl.col("state").is_in(STATES) | (in_last & few)).write_parquet(folder / SURVEY)


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
