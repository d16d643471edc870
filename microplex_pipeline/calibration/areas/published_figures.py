"""Weights of a state's areas from published figures, which rarely agree with the state's records in total."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.calibration.areas.geographic_reweighter import GeographicReweighter
from microplex_pipeline.calibration.targets.constraints import build_constraints
from microplex_pipeline.calibration.targets.sources import ERRORS
from microplex_pipeline.calibration.targets.table import KEY, Targets

LEAST = 0.5  # standard error or tolerance of a small count, in its units


def scaled_to_records(
    records: pl.DataFrame, targets: pl.DataFrame, weight: str, household_id: str
) -> pl.DataFrame:
    """Return targets of areas, each multiplied so that the areas add up to the records' total.

    Figures of areas have their own year and universe. Scaled, they say how a total is distributed.

    Parameters
    ----------
    records : of the state, with the columns that the targets name.
    targets : columns geoid and those of `Targets`.

    Returns
    -------
    The targets with the scaled `value`, and `published`, the figure as it was.

    Raises
    ------
    CalibrationError
        If a target is malformed, or no record carries it.
    """
    asked = targets.select(KEY).unique(maintain_order=True)
    constraints = build_constraints(
        records, Targets(asked.with_columns(value=pl.lit(1.0))), household_id
    )
    first = records.unique(household_id, keep="first", maintain_order=True)
    totals = constraints.matrix @ first[weight].cast(pl.Float64).to_numpy()
    published = pl.col("value").cast(pl.Float64)
    return (
        targets.join(
            asked.with_columns(pl.Series("_total", totals)), on=KEY, maintain_order="left"
        )
        .with_columns(published.alias("published"))
        .with_columns(pl.col("_total") * published / published.sum().over(KEY))
        .drop("value")
        .rename({"_total": "value"})
        .select([*targets.columns, "published"])
    )


def fit_published_areas(
    records: pl.DataFrame,
    targets: pl.DataFrame,
    weight: str,
    household_id: str,
    *,
    households_per_area: int | None = None,
    seed: int = 0,
) -> GeographicReweighter:
    """Fit weights of areas to published figures, as precisely as each says.

    Parameters
    ----------
    records : of the state, with their state weight.
    targets : from `published_area_targets`: figures with a standard error are penalized by it, others met
        within their tolerance, or exactly.
    weight, household_id : columns of the state weight and of household numbers.
    households_per_area, seed : as in `GeographicReweighter`.

    Raises
    ------
    CalibrationError, InfeasibleTargets, NotConverged
        As `GeographicReweighter.fit`.
    """
    if not any(c in targets.columns for c in ERRORS):
        reweighter = GeographicReweighter(
            scale_to_total=True, households_per_area=households_per_area, seed=seed
        )
        return reweighter.fit(records, targets, weight, household_id=household_id)
    scaled = scaled_to_records(records, targets, weight, household_id)
    missing = [pl.lit(None, pl.Float64).alias(c) for c in ERRORS if c not in scaled.columns]
    value = pl.col("value")
    error = pl.coalesce(
        pl.col("standard_error") * value / pl.col("published"),
        pl.col("relative_standard_error") * value.abs(),
    )
    width = pl.col("tolerance") * value.abs()
    soft = scaled.with_columns(missing).select(
        pl.exclude(*ERRORS),
        _at_least(error, LEAST).alias("standard_error"),
        (value - _at_least(width, LEAST)).alias("at_least"),
        (value + _at_least(width, LEAST)).alias("at_most"),
    )
    reweighter = GeographicReweighter(
        soft=True, households_per_area=households_per_area, seed=seed
    )
    return reweighter.fit(records, soft, weight, household_id=household_id)


def _at_least(size: pl.Expr, least: float) -> pl.Expr:
    """Return sizes that are not below the least; null ones stay null."""
    return pl.when(size.is_not_null()).then(pl.max_horizontal(size, least))
