"""Errors of the targets of a state's areas, such as counties, with the areas' weights."""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy.sparse as sp

from microplex_pipeline.calibration import Targets, build_constraints
from microplex_pipeline.calibration.areas.published_figures import scaled_to_records
from microplex_pipeline.calibration.targets.table import KEY
from microplex_pipeline.evaluation.columns import AREA_COLUMNS


def area_errors(
    records: pl.DataFrame,
    area_weights: pl.DataFrame,
    targets: pl.DataFrame,
    weight: str,
    household_id: str,
) -> pl.DataFrame:
    """Return the targets of areas with the totals that the areas' weights achieve.

    Parameters
    ----------
    records : records of the state, with their state weight.
    area_weights : columns geoid, `household_id`, weight.
    targets : columns geoid, entity, measure, variable, domain, value, source, file_year.
    weight : column of the state weight.
    household_id : column that identifies households.

    Returns
    -------
    One row per area and target, with the columns of AREA_COLUMNS. `value` is the published figure,
    scaled by one factor per target so that the areas add up to the state's weighted total.

    Raises
    ------
    CalibrationError
        If a target is malformed, or no record carries it.
    """
    scaled = scaled_to_records(records, targets, weight, household_id)
    asked = targets.select(KEY).unique(maintain_order=True)
    constraints = build_constraints(
        records, Targets(asked.with_columns(value=pl.lit(1.0))), household_id
    )
    first = records.unique(household_id, keep="first", maintain_order=True)
    areas = targets["geoid"].unique().sort()
    weights = weights_by_area(area_weights, first.select(household_id), household_id, areas)
    achieved = np.asarray((constraints.matrix @ weights).todense())
    tables = []
    for k, key in enumerate(asked.iter_rows(named=True)):
        of_target = scaled.filter([pl.col(c) == v for c, v in key.items()])
        tables.append(
            of_target.select(
                "geoid",
                pl.lit(constraints.names[k]).alias("target"),
                "published",
                "value",
                "source",
                "file_year",
            ).join(pl.DataFrame({"geoid": areas, "achieved": achieved[k]}), on="geoid")
        )
    error = (pl.col("achieved") - pl.col("value")) / pl.max_horizontal(pl.col("value").abs(), 1.0)
    return (
        pl.concat(tables)
        .with_columns(error.alias("relative_error"))
        .join(_size_of_areas(area_weights), on="geoid", how="left")
        .sort("target", "geoid")
        .select(list(AREA_COLUMNS))
    )


def weights_by_area(
    area_weights: pl.DataFrame, households: pl.DataFrame, household_id: str, areas: pl.Series
) -> sp.csr_array:
    """Return the areas' weights as a sparse matrix (households, areas)."""
    rows = area_weights.join(households.with_row_index("row"), on=household_id)
    column = rows["geoid"].replace_strict(areas, np.arange(len(areas)), return_dtype=pl.Int64)
    return sp.csr_array(
        (rows["weight"].to_numpy(), (rows["row"].to_numpy(), column.to_numpy())),
        shape=(households.height, len(areas)),
    )


def _size_of_areas(area_weights: pl.DataFrame) -> pl.DataFrame:
    """Return the number of households, records and effective households of each area."""
    weight = pl.col("weight")
    return area_weights.group_by("geoid").agg(
        weight.sum().alias("households"),
        pl.len().alias("records"),
        (weight.sum() ** 2 / (weight**2).sum()).alias("effective_households"),
    )
