"""A state's headline figures with their standard errors, from its records and replicates."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import polars as pl

from microplex_pipeline.calibration import Targets, build_constraints
from microplex_pipeline.evaluation.inference import (
    CannotEstimate,
    Estimate,
    complete_numbers,
    from_rows,
)
from microplex_pipeline.evaluation.statistics import (
    Statistic,
    below_relative_line,
    gini,
    mean,
    quantile,
    top_coded_gini,
    total,
)
from microplex_pipeline.survey import SurveySchema

RELATIVE_LINE = 0.5  # of the median, as the OECD's poverty line
MET = 1e-8  # relative; what differs by less is the same figure, met in all replicates
EQUIVALISED = "equivalised_income"

SCHEMA = {
    "statistic": pl.String,
    "variable": pl.String,
    "domain": pl.String,
    "universe": pl.String,
    "estimate": pl.Float64,
    "standard_error": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "replicates": pl.Int32,
}


class Figure(NamedTuple):
    """A figure to estimate: a statistic of a variable in a domain, of one of the universes."""

    name: str
    statistic: Statistic
    variable: str
    domain: str
    universe: str
    value: pl.Expr
    where: pl.Expr | None = None


def figures(schema: SurveySchema) -> Iterator[Figure]:
    """Yield the headline figures of a survey."""
    headline = {t.name for t in schema.targets if t.headline}
    whole = [i.total for i in schema.totals if set(i.parts) <= headline]
    parts = {part for i in schema.totals for part in i.parts}
    alone = [t.name for t in schema.targets if t.name in headline - parts]
    for name in [*whole, *alone]:
        amount, held = pl.col(name), pl.col(name) != 0
        yield Figure("total", total, name, "all", "tax units", amount)
        yield Figure("holders", mean, name, "all", "tax units", held)
        yield Figure("mean", mean, name, f"{name} != 0", "tax units", amount, held)
        median = partial(quantile, q=0.5)
        yield Figure("median", median, name, f"{name} != 0", "tax units", amount, held)
    income = pl.col("household_income")
    for name, statistic in (
        ("mean", mean),
        ("median", partial(quantile, q=0.5)),
        ("first decile", partial(quantile, q=0.1)),
        ("ninth decile", partial(quantile, q=0.9)),
        ("gini", gini),
        ("top-coded gini", top_coded_gini),
    ):
        yield Figure(name, statistic, "household_income", "all", "households", income)
    poverty = partial(below_relative_line, fraction=RELATIVE_LINE)
    yield Figure("poverty rate", poverty, EQUIVALISED, "all", "persons", pl.col(EQUIVALISED))


def headline_estimates(
    records: pl.DataFrame,
    replicates: pl.DataFrame,
    schema: SurveySchema,
    *,
    level: float = 0.95,
) -> pl.DataFrame:
    """Return the headline figures of a state with their errors.

    Parameters
    ----------
    records, replicates : rows of calibrated_population and of replicates of one state and year.
    level : of the intervals.

    Returns
    -------
    Columns statistic, variable, domain, universe, estimate, standard_error, low, high, replicates. A figure
    that has no value, in the file or in a replicate, has no row. The poverty rate is the share of persons
    whose household income, divided by the square root of its size, is below half the median.

    Raises
    ------
    CannotEstimate
        If there are no replicates.
    """
    numbers = complete_numbers(replicates)
    here, there = _with_income(records), _with_income(replicates)
    rows = []
    for figure in figures(schema):
        inside = _rows(here, figure, schema)
        replicated = _rows(there, figure, schema, "replicate")
        try:
            found = from_rows(inside, replicated, numbers, figure.statistic, level=level)
        except CannotEstimate:
            continue
        rows.append((figure.name, figure.variable, figure.domain, figure.universe, *_shown(found)))
    return pl.DataFrame(rows, SCHEMA, orient="row")


def _with_income(records: pl.DataFrame) -> pl.DataFrame:
    size = pl.col("household_persons").sqrt()
    return records.with_columns((pl.col("household_income") / size).alias(EQUIVALISED))


def _rows(frame: pl.DataFrame, figure: Figure, schema: SurveySchema, *keys: str) -> pl.DataFrame:
    weight = pl.col(schema.weight)
    if figure.universe == "households":
        frame = frame.filter(pl.col("unit_number") == 1)
    elif figure.universe == "persons":
        weight = weight * pl.col(schema.persons)
    inside = frame if figure.where is None else frame.filter(figure.where)
    return inside.select(
        *keys, value=figure.value.cast(pl.Float64), weight=weight.cast(pl.Float64)
    )


def target_estimates(
    records: pl.DataFrame,
    replicates: pl.DataFrame,
    targets: pl.DataFrame,
    schema: SurveySchema,
    *,
    level: float = 0.95,
) -> pl.DataFrame:
    """Return what the weights achieve of each target, with its error: 0 where it is published and met.

    A modelled target is met exactly by the file, but each replicate has targets of its own. Their spread is
    the error with which the survey knows the target.

    Parameters
    ----------
    records, replicates, level : as for `headline_estimates`.
    targets : rows of `calibration.targets`.

    Returns
    -------
    As `headline_estimates`, with the statistic "target" and the target's measure, variable and domain.
    """
    checked = Targets(targets)
    numbers = complete_numbers(replicates)
    parts = replicates.partition_by("replicate", as_dict=True)
    achieved = _achieved(records, checked, schema)
    spread = np.array([_achieved(parts[number,], checked, schema) for number in numbers])
    spread = np.where(np.isclose(spread, achieved, rtol=MET), achieved, spread)
    rows = []
    for i, target in enumerate(checked.table.iter_rows(named=True)):
        found = Estimate.from_replicates(float(achieved[i]), spread[:, i], level)
        what = (target["variable"], target["domain"], target["entity"])
        rows.append((f"target {target['measure']}", *what, *_shown(found)))
    return pl.DataFrame(rows, SCHEMA, orient="row")


def _achieved(records: pl.DataFrame, targets: Targets, schema: SurveySchema) -> np.ndarray:
    constraints = build_constraints(records, targets, schema.household)
    first = records.unique(schema.household, keep="first", maintain_order=True)
    return constraints.achieved(first[schema.weight].cast(pl.Float64).to_numpy())


def _shown(found: Estimate) -> tuple[float, float, float, float, int]:
    return found.value, found.standard_error, found.low, found.high, len(found.replicates)
