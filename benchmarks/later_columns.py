"""Columns drawn after the amounts, beside the survey's and two random halves of it.

    python -m benchmarks.later_columns RI WY             states of 2014 that are built
    python -m benchmarks.later_columns all --year 2014   all that are built, each, and the mean of all

Per column: the share of holders; the largest distance of the distributions among holders (KS); the total;
the correlation with the unit's income; the mean absolute error of the means in five classes of income, as a
share of the survey's mean. The halves are of households. Their distances are divided by the square root of
two: that is how far apart two samples of the survey's size would be.
"""

from __future__ import annotations

import argparse

import numpy as np
import polars as pl

from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.settings import load_settings
from microplex_pipeline.evaluation.margins import weighted_ks
from microplex_pipeline.warehouse.reading import query

CLASSES = [20_000, 40_000, 75_000, 120_000]
SPLITS = 10


def largest_distance(a: pl.DataFrame, b: pl.DataFrame, column: str, weight: str) -> float:
    """Return the KS distance of a column among its holders; NaN if one side has none."""
    (x, v), (y, w) = (
        side.filter(pl.col(column) > 0).select(column, weight).get_columns() for side in (a, b)
    )
    if x.is_empty() or y.is_empty():
        return float("nan")
    return float(weighted_ks(x.to_numpy(), y.to_numpy(), v.to_numpy(), w.to_numpy()))


def compared(a: pl.DataFrame, b: pl.DataFrame, column: str, weight: str) -> dict[str, float]:
    """Return how far records `b` are from records `a` in one column."""
    measured = []
    for side in (a, b):
        v, w, income = (side[c].to_numpy().astype(float) for c in (column, weight, "unit_income"))
        classes = np.digitize(income, CLASSES)
        mean = np.average(v, weights=w)
        means = [np.average(v[classes == k], weights=w[classes == k]) for k in range(5)]
        with np.errstate(invalid="ignore", divide="ignore"):
            ranks = [pl.Series(z).rank().to_numpy() for z in (v, income)]
            correlation = np.corrcoef(*ranks)[0, 1]
        measured.append((np.average(v > 0, weights=w), mean, correlation, np.array(means)))
    (share, mean, correlation, means), (share_b, mean_b, correlation_b, means_b) = measured
    known = max(mean, 1e-9)
    return {
        "share": share_b - share,
        "ks": largest_distance(a, b, column, weight),
        "total": mean_b / known - 1 if mean else float("nan"),
        "correlation": correlation_b - correlation,
        "by_income": float(np.abs(means_b - means).mean() / known) if mean else float("nan"),
    }


def halves(
    survey: pl.DataFrame, column: str, keys: tuple[str, str], seed: int
) -> dict[str, float]:
    """Return the mean absolute distances of random halves of the survey's households."""
    household, weight = keys
    found = []
    for split in range(SPLITS):
        rng = np.random.default_rng([seed, split])
        numbers = survey[household].rank("dense").to_numpy() - 1
        first = rng.random(int(numbers.max()) + 1)[numbers] < 0.5
        found.append(compared(survey.filter(first), survey.filter(~first), column, weight))
    return {
        name: float(np.nanmean([abs(f[name]) for f in found]) / 2**0.5)
        if not np.isnan([f[name] for f in found]).all()
        else float("nan")
        for name in found[0]
    }


def main() -> None:
    """Print a row per state and column, and the mean over the states."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("states", nargs="+")
    parser.add_argument("--year", type=int, default=2014)
    arguments = parser.parse_args()
    settings = load_settings()
    schema = DataFolder(path=str(settings.data)).survey_schema
    states = arguments.states
    if states == ["all"]:
        stored = "select distinct state from synthesis.synthetic_population where year = ?"
        states = sorted(query(settings.warehouse, stored, [arguments.year])["state"])
    rows = []
    for state in states:
        survey, synthetic = (
            query(settings.warehouse, f"select * from {table} where state = ? and year = ?",
                  [state, arguments.year])
            for table in ("survey.survey", "synthesis.synthetic_population")
        )  # fmt: skip
        for column in schema.drawn_columns:
            own = compared(survey, synthetic, column, schema.weight)
            chance = halves(survey, column, (schema.household, schema.weight), 0)
            row = {f"{name} by chance": v for name, v in chance.items()}
            rows.append({"state": state, "column": column,
                         "holders": int((survey[column] > 0).sum()), **own, **row})  # fmt: skip
    table = pl.DataFrame(rows).fill_nan(None)
    measures = [c for c in table.columns if c not in ("state", "column", "holders")]
    mean = table.group_by("column", maintain_order=True).agg(
        pl.lit("mean").alias("state"), pl.col("holders").mean().cast(pl.Int64),
        pl.col(measures).abs().mean(),
    ).select(table.columns)  # fmt: skip
    shown = mean if len(states) > 1 else table
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_hide_column_data_types=True, tbl_width_chars=250):
        print(shown.with_columns(pl.col(measures).round(3)))


if __name__ == "__main__":
    main()
