"""Tax-Calculator on the synthetic records, beside the survey's records reweighted to the same targets.

    python -m benchmarks.tax_results RI WY             states of 2014 that are built
    python -m benchmarks.tax_results all --year 2014   all that are built, and their sum

Needs `pip install taxcalc`. Both sides have every column. The standard error is the survey's: residuals of
each household's tax from a regression on the published targets (linearization of the raked estimator;
Deville and Särndal 1992). The modelled targets are the survey's own totals after raking to the published
ones, so they take no sampling error away. A difference of two standard errors is within what the survey
knows; the synthetic records' own sampling error is not counted. Everybody claims the credits: otherwise
Tax-Calculator draws who does by row number, which says nothing of the records.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.calibration import CalibrationError, Reweighter, Targets
from microplex_pipeline.calibration.grossed_up_survey import gross_up_to_persons
from microplex_pipeline.calibration.targets.derived import with_derived
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.settings import load_settings
from microplex_pipeline.export import for_tax_calculator
from microplex_pipeline.warehouse.reading import query

RESULTS = {
    "income tax": ["iitax"],
    "payroll tax": ["payrolltax"],
    "child tax credit": ["c07220", "c11070"],
    "earned income credit": ["eitc"],
}
LIMIT = 2.0  # standard errors
ALL_CLAIM = {f"{credit}_claim_prob_scale": {2013: 9e99} for credit in ("eitc", "actc")}


def taxes(records: pl.DataFrame, names: dict[str, str], year: int) -> pl.DataFrame:
    """Return the results of Tax-Calculator for each record, under the law of the year."""
    import taxcalc

    frame = for_tax_calculator(records, names).to_pandas()
    source = taxcalc.Records(data=frame, start_year=year, gfactors=None, weights=None)
    policy = taxcalc.Policy()
    policy.implement_reform(ALL_CLAIM)
    calculator = taxcalc.Calculator(policy=policy, records=source, verbose=False)
    calculator.calc_all()
    return pl.DataFrame(
        {name: sum(calculator.array(v) for v in parts) for name, parts in RESULTS.items()}
    )


def reweighted_survey(survey: pl.DataFrame, targets: pl.DataFrame, data: DataFolder) -> Reweighter:
    """Return weights of the survey's records that meet the file's targets as the file's weights do."""
    schema, asked = data.survey_schema, Targets(targets)
    keys = {"year": schema.year, "household_id": schema.household}
    persons = targets.filter(variable=schema.persons, domain="all")["value"][0]
    raised, _ = gross_up_to_persons(
        survey,
        persons,
        weight=schema.weight,
        household_id=schema.household,
        persons_column=schema.persons,
    )
    return Reweighter(distance="raking", soft=asked.any_soft).fit(
        with_derived(raised, data.target_sources, targets, **keys),
        asked,
        schema.weight,
        household_id=schema.household,
    )


def of_state(
    warehouse: Path, state: str, year: int, data: DataFolder
) -> list[dict[str, str | float]]:
    """Return one row per result: synthetic total, survey's total, its standard error, z."""
    schema = data.survey_schema
    where = "where state = ? and year = ?"
    survey, synthetic, targets = (
        query(warehouse, f"select * from {table} {where}", [state, year])
        for table in ("survey.survey", "calibration.calibrated_population", "calibration.targets")
    )
    fitted = reweighted_survey(survey, targets, data)
    weights = np.asarray(fitted.weights_)
    # what is known better than the survey knows it
    given = (targets["kind"] != "modelled").to_numpy()
    lines = fitted.constraints_.only(given).matrix.toarray().T  # a row per household
    households = survey[schema.household].rank("dense").to_numpy() - 1
    order = survey[schema.household].unique(maintain_order=True).rank("dense").to_numpy() - 1
    first = np.zeros(len(order))
    first[households] = weights
    names = data.tax_calculator_names
    real, drawn = taxes(survey, names, year), taxes(synthetic, names, year)
    rows: list[dict[str, str | float]] = []
    for result in RESULTS:
        by_household = np.bincount(households, real[result].to_numpy())
        total = float(first @ by_household)
        achieved = float((synthetic[schema.weight] * drawn[result]).sum())
        error = _standard_error(by_household[order], lines, first[order])
        rows.append(
            {
                "state": state, "result": result, "synthetic": achieved, "survey": total, "se": error,
                "difference": achieved / total - 1, "z": (achieved - total) / error,
            }
        )  # fmt: skip
    return rows


def _standard_error(values: np.ndarray, lines: np.ndarray, weights: np.ndarray) -> float:
    """Return the standard error of a raked total, from residuals on the targets' lines."""
    scale = np.abs(lines).max(axis=0)
    x, root = lines / np.where(scale > 0, scale, 1.0), np.sqrt(weights)
    slopes = np.linalg.lstsq(x * root[:, None], values * root, rcond=None)[0]
    terms = weights * (values - x @ slopes)
    n = len(terms)
    return float(np.sqrt(n / (n - 1) * np.square(terms - terms.mean()).sum()))


def nation(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the sum of the states by result; states are independent samples."""
    sums = rows.group_by("result", maintain_order=True).agg(
        pl.lit("all").alias("state"),
        pl.col("synthetic", "survey").sum(),
        pl.col("se").pow(2).sum().sqrt(),
    )
    difference = pl.col("synthetic") - pl.col("survey")
    return sums.with_columns(
        (difference / pl.col("survey")).alias("difference"), (difference / pl.col("se")).alias("z")
    ).select(rows.columns)


def main() -> None:
    """Print a row per state and result, their sums, and how many states are within the limit."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("states", nargs="+")
    parser.add_argument("--year", type=int, default=2014)
    parser.add_argument("--to", type=Path, help="CSV file of the rows")
    arguments = parser.parse_args()
    settings = load_settings()
    data = DataFolder(path=str(settings.data))
    states = arguments.states
    if states == ["all"]:
        stored = "select distinct state from calibration.calibrated_population where year = ?"
        states = sorted(query(settings.warehouse, stored, [arguments.year])["state"])
    rows: list[dict[str, Any]] = []
    for state in states:
        try:
            rows += of_state(settings.warehouse, state, arguments.year, data)
        except CalibrationError as error:
            print(f"{state}: the survey cannot be reweighted to these targets: {error}")
    table = pl.DataFrame(rows)
    table = pl.concat([table, nation(table)])
    if arguments.to:
        table.write_csv(arguments.to)
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        print(table.with_columns(pl.col("synthetic", "survey", "se") / 1e6).select(
            "state", "result", pl.col("synthetic", "survey", "se").round(1),
            (100 * pl.col("difference")).round(1).alias("difference, %"), pl.col("z").round(2),
        ))  # fmt: skip
    within = table.filter(pl.col("state") != "all").group_by("result", maintain_order=True).agg(
        (pl.col("z").abs() <= LIMIT).sum().alias("within"), pl.len().alias("of")
    )  # fmt: skip
    for result, near, states_ in within.iter_rows():
        print(f"{result}: {near} of {states_} states within {LIMIT:g} standard errors")


if __name__ == "__main__":
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    main()
