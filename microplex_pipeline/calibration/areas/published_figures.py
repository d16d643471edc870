"""Weights of a state's areas from published figures, which rarely agree with the state's records in total."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.calibration.areas.geographic_reweighter import GeographicReweighter
from microplex_pipeline.calibration.targets.constraints import build_constraints
from microplex_pipeline.calibration.targets.table import KEY, PRECISION, Targets

NEAR = (
    1e-4  # of the value: what is met exactly if it stands alone, beside targets with a tolerance
)
LEAST = 0.5  # standard error of a small count, in its units


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
    """Fit weights of areas to published figures, within their precision where they have one.

    Parameters
    ----------
    records : of the state, with their state weight.
    targets : from `published_area_targets`. If no figure has a standard error or tolerance, all are met
        exactly; else those without are met to a ten-thousandth.
    weight, household_id : columns of the state weight and of household numbers.
    households_per_area, seed : as in `GeographicReweighter`.

    Raises
    ------
    CalibrationError, InfeasibleTargets, NotConverged
        As `GeographicReweighter.fit`.
    """
    given = [c for c in PRECISION if c in targets.columns]
    if not given:
        reweighter = GeographicReweighter(
            scale_to_total=True, households_per_area=households_per_area, seed=seed
        )
        return reweighter.fit(records, targets, weight, household_id=household_id)
    scaled = scaled_to_records(records, targets, weight, household_id)
    size = pl.col("value").abs()
    factor = pl.col("value") / pl.col("published")
    errors = {
        "standard_error": pl.col("standard_error") * factor if "standard_error" in given else None,
        "tolerance": pl.col("tolerance") * size if "tolerance" in given else None,
    }
    known = [e for e in errors.values() if e is not None]
    soft = scaled.with_columns(
        pl.max_horizontal(pl.coalesce(*known, size * NEAR), LEAST).alias("standard_error")
    ).drop("tolerance", strict=False)
    reweighter = GeographicReweighter(
        soft=True, households_per_area=households_per_area, seed=seed
    )
    return reweighter.fit(records, soft, weight, household_id=household_id)
