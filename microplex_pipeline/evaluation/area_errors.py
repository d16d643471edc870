"""What the weights of a state's areas reach: a row per area and target."""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy.sparse as sp

from microplex_pipeline.calibration import Targets, build_constraints
from microplex_pipeline.calibration.targets.table import KEY

AREA_COLUMNS = {
    "geoid": "county, five digits (FIPS)",
    "target": "name of the target",
    "published": "the office's figure",
    "value": "the figure aimed at: the published one, scaled so that the areas add up to the state",
    "achieved": "what the area's weights add up to",
    "relative_error": "(achieved - value) / max(|value|, 1)",
    "households": "sum of the area's weights",
    "records": "households that carry weight in the area",
    "effective_households": "Kish's effective sample size of the area's weights",
    "source": "where the figure comes from",
    "file_year": "year of the figure",
}


def area_errors(
    records: pl.DataFrame,
    area_weights: pl.DataFrame,
    targets: pl.DataFrame,
    weight: str,
    household_id: str,
) -> pl.DataFrame:
    """Return the targets of areas with what the areas' weights reach.

    Parameters
    ----------
    records : records of the state, with their state weight.
    area_weights : geoid, household, weight.
    targets : geoid, the columns that define a target, value, source, file_year.

    Returns
    -------
    One row per area and target, with the columns of AREA_COLUMNS. Where published figures do not add up
    to the state's, `value` is the published one times what makes them.
    """
    asked = targets.select(KEY).unique(maintain_order=True)
    constraints = build_constraints(
        records, Targets(asked.with_columns(value=pl.lit(1.0))), household_id
    )
    first = records.unique(household_id, keep="first", maintain_order=True)
    reached = constraints.matrix @ first[weight].cast(pl.Float64).to_numpy()
    areas = targets["geoid"].unique().sort()
    rows = area_weights.join(first.select(household_id).with_row_index("row"), on=household_id)
    column = rows["geoid"].replace_strict(areas, np.arange(len(areas)), return_dtype=pl.Int64)
    weights = sp.csr_array(
        (rows["weight"].to_numpy(), (rows["row"].to_numpy(), column.to_numpy())),
        shape=(first.height, len(areas)),
    )
    achieved = np.asarray((constraints.matrix @ weights).todense())
    per_area = area_weights.group_by("geoid").agg(
        pl.col("weight").sum().alias("households"),
        pl.len().alias("records"),
        (pl.col("weight").sum() ** 2 / (pl.col("weight") ** 2).sum()).alias(
            "effective_households"
        ),
    )
    tables = []
    for k, key in enumerate(asked.iter_rows(named=True)):
        of_target = targets.filter([pl.col(c) == v for c, v in key.items()])
        factor = reached[k] / of_target["value"].sum()
        tables.append(
            of_target.select(
                "geoid",
                pl.lit(constraints.names[k]).alias("target"),
                pl.col("value").cast(pl.Float64).alias("published"),
                (pl.col("value") * factor).alias("value"),
                "source",
                "file_year",
            ).join(pl.DataFrame({"geoid": areas, "achieved": achieved[k]}), on="geoid")
        )
    miss = (pl.col("achieved") - pl.col("value")) / pl.max_horizontal(pl.col("value").abs(), 1.0)
    return (
        pl.concat(tables)
        .with_columns(miss.alias("relative_error"))
        .join(per_area, on="geoid", how="left")
        .sort("target", "geoid")
        .select(list(AREA_COLUMNS))
    )
