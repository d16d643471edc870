"""Households drawn by other packages: forests on flat households, and SDV's hierarchical model.

Both know tables only, and get what they can use: of each household the columns that FEATURES of
`benchmarks.households` need, as whole households resampled by weight.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import CHECKOUT

HOUSEHOLD, WEIGHT = "household_id", "weight"
OF_UNIT = ["age_head", "n_persons", "n_persons_under_18", "wages", "social_security", "ssi"]
OF_HOUSEHOLD = ["snap", "household_income"]
MOST_UNITS = 4  # of a flat household; the units after them are left out, 1 in 200 households


def resampled(units: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the units of as many households, drawn by weight and numbered from 0."""
    households = units.unique(HOUSEHOLD, keep="first", maintain_order=True)
    weight = households[WEIGHT].to_numpy()
    rng = np.random.default_rng(seed)
    drawn = households[HOUSEHOLD].gather(
        rng.choice(len(weight), len(weight), p=weight / weight.sum())
    )
    numbered = pl.DataFrame({HOUSEHOLD: drawn}).with_row_index("number")
    return (
        numbered.join(units, on=HOUSEHOLD, maintain_order="left_right")
        .with_columns(pl.col("snap").sum().over("number"))
        .select(
            pl.col("number").cast(pl.Int64).alias(HOUSEHOLD),
            *[pl.col(name).cast(pl.Int64) for name in [*OF_UNIT, *OF_HOUSEHOLD]],
        )
    )


def forests(units: pl.DataFrame, n: int, seed: int, python: str) -> pl.DataFrame:
    """Return the units of n households drawn by ARF (Watson and others 2023) from flat households."""
    flat = _flat(resampled(units, seed))
    drawn = _drawn("ARF", {"flat": flat}, n, seed, python)["flat"].with_row_index(HOUSEHOLD)
    return pl.concat(
        drawn.filter(pl.col("units") >= k).select(
            pl.col(HOUSEHOLD).cast(pl.Int64),
            pl.lit(1.0).alias(WEIGHT),
            *[pl.col(f"{name}_{k}").alias(name) for name in OF_UNIT],
            pl.col("snap") * (k == 1),
            "household_income",
        )
        for k in range(1, MOST_UNITS + 1)
    )


def _flat(units: pl.DataFrame) -> pl.DataFrame:
    numbered = units.with_columns(pl.int_range(1, pl.len() + 1).over(HOUSEHOLD).alias("k"))
    of_units = [
        pl.col(name).filter(pl.col("k") == k).first().fill_null(0).alias(f"{name}_{k}")
        for k in range(1, MOST_UNITS + 1)
        for name in OF_UNIT
    ]
    count = pl.len().clip(1, MOST_UNITS).cast(pl.Int64).alias("units")
    households = numbered.group_by(HOUSEHOLD, maintain_order=True)
    return households.agg(count, pl.col(OF_HOUSEHOLD).first(), *of_units).drop(HOUSEHOLD)


def hierarchical(units: pl.DataFrame, n: int, seed: int, python: str) -> pl.DataFrame:
    """Return the units of about n households drawn by SDV's hierarchical model (HMA)."""
    train = resampled(units, seed)
    households = train.unique(HOUSEHOLD, keep="first", maintain_order=True)
    tables = {
        "households": households.select(HOUSEHOLD, *OF_HOUSEHOLD),
        "units": train.select(HOUSEHOLD, *OF_UNIT).with_row_index("unit_id"),
    }
    drawn = _drawn("HMA", tables, n, seed, python)
    first = pl.int_range(pl.len()).over(HOUSEHOLD) == 0
    return (
        drawn["units"]
        .join(drawn["households"], on=HOUSEHOLD)
        .with_columns(pl.col("snap") * first, pl.lit(1.0).alias(WEIGHT))
        .select(HOUSEHOLD, WEIGHT, *OF_UNIT, *OF_HOUSEHOLD)
    )


def _drawn(
    method: str, tables: dict[str, pl.DataFrame], n: int, seed: int, python: str
) -> dict[str, pl.DataFrame]:
    """Return what a method draws in another interpreter, by table."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder) / f"{name}.csv") for name in tables}
        for name, table in tables.items():
            table.write_csv(files[name])
        order = {"method": method, "files": files, "seed": seed, "n": n}
        script = CHECKOUT / "benchmarks" / "household_peer.py"
        subprocess.run([python, str(script), json.dumps(order)], check=True)
        return {name: pl.read_csv(file, infer_schema_length=None) for name, file in files.items()}
