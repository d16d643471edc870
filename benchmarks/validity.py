"""Is the file true? What it says beside official figures that it was not made from, and beside its targets.

    python -m benchmarks.validity 2014              states that are built
    python -m benchmarks.validity 2014 --later 2023 and ages of a later year
    python -m benchmarks.validity 2014 --taxes FILE and the earned income credit

FILE is written by `benchmarks.tax_results all --to FILE`.

Reads the project's warehouse, and official figures in ../shared/data/targets, which are not part of the
project; without them, their lines are left out with a message. Prints a Markdown table: each measure of the
file, beside the survey reweighted to the same targets, how much larger the file's mean error is, with the
standard error of that over the states, and how many states it is over. Taxes are in
`benchmarks.tax_results`, held-out targets in `benchmarks.held_out`, intervals in `benchmarks.coverage`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from benchmarks import CHECKOUT
from benchmarks.tax_results import reweighted_survey
from microplex_pipeline.defs.assets.target_inputs import pooled_totals, with_target_columns
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.settings import load_settings
from microplex_pipeline.warehouse.reading import query

OFFICIAL = CHECKOUT.parent / "shared" / "data" / "targets"
RETURNS = "reference_state_soi_agi_2012_2014.csv.gz"
CREDITS = "reference_state_soi_agi_2015.csv.gz"  # the earliest year with credits by state
LATER_AGES = "reference_state_2022_2024.csv.gz"
# below, many units of the file do not file a return
CLASSES = [(50_000, 75_000), (75_000, 100_000), (100_000, 200_000), (200_000, 500_000),
           (500_000, 1_000_000), (1_000_000, np.inf)]  # fmt: skip


class Miss(NamedTuple):
    """A state's relative errors: of the file, and of the survey reweighted to the same targets.

    Attributes
    ----------
    known : the figure itself.
    """

    measure: str
    state: str
    file: float
    survey: float | None
    known: float


def official(name: str) -> pl.DataFrame | None:
    """Return a file of official figures, or None with a message if it is not there."""
    path = OFFICIAL / name
    if not path.exists():
        print(f"(without {name}, which is not in ../shared/data/targets)\n")
        return None
    return pl.read_csv(path, infer_schema=False).with_columns(pl.col("value").cast(pl.Float64))


def of_year(warehouse: Path, table: str, state: str, year: int) -> pl.DataFrame:
    return query(warehouse, f"from {table} where state = ? and year = ?", [state, year])


def ages(warehouse: Path, state: str, year: int, source: pl.DataFrame | None) -> Iterator[Miss]:
    """Yield the errors of children and the old: against the targets' source, or official figures."""
    persons = of_year(warehouse, "calibration.persons", state, year)
    weight, age = persons["weight"], persons["age"]
    if source is None:
        targets = of_year(warehouse, "calibration.targets", state, year).filter(entity="person")
        first = targets["domain"].str.extract(r"age:(\d+)").cast(pl.Int64)
        known = {
            "persons under 18": targets["value"].filter(first < 18).sum(),
            "persons of 65 and over": targets["value"].filter(first >= 65).sum(),
        }
    else:
        rows = source.filter(
            pl.col("state") == state,
            pl.col("year") == str(year),
            pl.col("domain").str.starts_with("age:"),
        )
        if rows.is_empty():
            return
        first = rows["domain"].str.extract(r"age:(\d+)").cast(pl.Int64)
        # of the group 15 to 19, three years of five are under 18
        young = rows["value"].filter(first < 15).sum() + 0.6 * rows["value"].filter(first == 15)[0]
        known = {
            f"persons under 18 in {year}, ACS": young,
            f"persons of 65 and over in {year}, ACS": rows["value"].filter(first >= 65).sum(),
        }
    for name, value in known.items():
        inside = age < 18 if "under" in name else age >= 65
        yield Miss(name, state, float(weight.filter(inside).sum() / value - 1), None, value)


def amounts(
    warehouse: Path, state: str, year: int, data: DataFolder, returns: pl.DataFrame | None
) -> Iterator[Miss]:
    """Yield the errors of wages, returns by class of income, poverty, and earners with children."""
    survey, drawn, targets = (
        of_year(warehouse, table, state, year)
        for table in ("survey.survey", "calibration.calibrated_population", "calibration.targets")
    )
    fitted = reweighted_survey(survey, targets, data)
    both = [
        with_target_columns(data, records, targets)
        for records in (drawn, survey.with_columns(pl.Series("weight", fitted.weights_)))
    ]
    (pooled,) = pooled_totals(data, state, year).values()
    errors = [_total(r, "wages") / pooled - 1 for r in both]
    yield Miss("wages, pooled total", state, *errors, pooled)
    poor = targets.filter(pl.col("domain").str.starts_with("poverty_ratio"))
    if poor.height:
        known = poor["value"][0]
        below = pl.col("poverty_ratio") < 1
        errors = [_total(r.filter(below), "n_persons") / known - 1 for r in both]
        yield Miss("persons in poverty, ACS", state, *errors, known)
    earns = (pl.col("n_eitc_children") > 0) & pl.col("wages").is_between(1, 45_000)
    file, own = (float(r.filter(earns)["weight"].sum()) for r in both)
    yield Miss(
        "units with children that earn up to 45,000, survey", state, file / own - 1, 0.0, own
    )
    if returns is None:
        return
    for low, high in CLASSES:
        inside = (pl.col("unit_income") >= low) & (pl.col("unit_income") < high)
        end = "+" if high == np.inf else f"-{high - 1:.0f}"
        known = returns.filter(
            pl.col("state") == state, pl.col("year") == str(year), pl.col("measure") == "count",
            pl.col("variable") == "returns", pl.col("domain") == f"agi:{low}{end}",
        )["value"]  # fmt: skip
        if known.is_empty():
            return
        counts = [float(r.filter(inside)["weight"].sum()) for r in both]
        name = (
            f"returns with income of {low:,}{end if high == np.inf else f' to {high:,.0f}'}, IRS"
        )
        yield Miss(name, state, *(c / known[0] - 1 for c in counts), known[0])


def credits(results: pl.DataFrame, paid: pl.DataFrame) -> Iterator[Miss]:
    """Yield the errors of the states' shares of the earned income credit, against the IRS a year later.

    Shares, because everybody claims it in `tax_results`, and not everybody does.
    """
    known = paid.filter(
        pl.col("geography_level") == "state", pl.col("measure") == "sum",
        pl.col("variable") == "eitc", pl.col("domain") == "all",
    )  # fmt: skip
    both = results.filter(result="earned income credit").join(
        known.select("state", "value"), on="state"
    )
    shares = both.select(
        "state", *[pl.col(c) / pl.col(c).sum() for c in ("synthetic", "survey", "value")]
    )
    for state, file, survey, share in shares.iter_rows():
        yield Miss(
            "share of the earned income credit, IRS of 2015",
            state, file / share - 1, survey / share - 1, share,
        )  # fmt: skip


def _total(records: pl.DataFrame, column: str) -> float:
    return float((records["weight"] * records[column].cast(pl.Float64)).sum())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("year", type=int)
    parser.add_argument("--later", type=int, help="year of which ages are compared")
    parser.add_argument("--taxes", type=Path, help="CSV file of benchmarks.tax_results")
    arguments = parser.parse_args()
    settings = load_settings()
    warehouse, data = settings.warehouse, DataFolder(path=str(settings.data))
    built = "select distinct state from calibration.persons where year = ? order by state"
    misses: list[Miss] = []
    returns = official(RETURNS)
    for state in query(warehouse, built, [arguments.year])["state"]:
        misses += ages(warehouse, state, arguments.year, None)
        misses += amounts(warehouse, state, arguments.year, data, returns)
    paid = official(CREDITS) if arguments.taxes else None
    if paid is not None:
        misses += credits(pl.read_csv(arguments.taxes), paid)
    later = official(LATER_AGES) if arguments.later else None
    if later is not None:
        for state in query(warehouse, built, [arguments.later])["state"]:
            misses += ages(warehouse, state, arguments.later, later)
    file, survey = pl.col("file").abs(), pl.col("survey").abs()
    rows = (
        pl.DataFrame(misses, orient="row", schema=list(Miss._fields))
        .group_by("measure", maintain_order=True)
        .agg(
            pl.len().alias("states"),
            file.mean(),
            survey.mean(),
            (file - survey).mean().alias("more"),
            ((file - survey).std() / pl.len().sqrt()).alias("error"),
            file.max().alias("worst"),
            ((pl.col("file") * pl.col("known")).sum() / pl.col("known").sum()).alias("nation"),
        )
    )
    print(
        "| measure | states | mean error of the file | of the survey, reweighted | more (standard error) | "
        "worst state | states together |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    for measure, states, mean, own, more, error, worst, nation in rows.iter_rows():
        beside = " | "
        if own is not None:
            beside = f"{100 * own:.2f} % | {100 * more:+.2f} ({100 * error:.2f})"
        errors = f"{100 * mean:.2f} % | {beside} | {100 * worst:.1f} % | {100 * nation:+.2f} %"
        print(f"| {measure} | {states} | {errors} |")


if __name__ == "__main__":
    main()
