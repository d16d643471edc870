"""Skeletons: real household compositions, drawn by weight before any amount is drawn."""

from __future__ import annotations

import numpy as np
import polars as pl

from microplex_pipeline.sampling import systematic_counts


def resample_households(
    members: pl.DataFrame,
    n_households: int,
    seed: int,
    *,
    household_id: str,
    weight: str,
    unit_id: str,
) -> pl.DataFrame:
    """Draw households with probability proportional to weight; members stay together.

    A household whose expected count is x is drawn floor(x) or ceil(x) times (systematic sampling), so
    that compositions keep their shares.

    Parameters
    ----------
    members : one row per member, in order within its household. A household's weight is that of its
        first member.
    n_households : number of households to draw.
    seed : decides the draw.
    household_id, weight, unit_id : names of the columns.

    Returns
    -------
    The drawn members with new household and unit numbers, each starting at 1, and the column
    `source_household_id`. All drawn households have the same weight, and their weights add up to the
    total weight of the given households.
    """
    households = members.group_by(household_id, maintain_order=True).agg(pl.col(weight).first())
    weights = households[weight].to_numpy()
    rng = np.random.default_rng(seed)
    # in a random order, the systematic sample hardly depends on the order of the file
    order = rng.permutation(len(weights))
    counts = systematic_counts(weights[order], n_households, rng)
    drawn = pl.DataFrame(
        {
            "source_household_id": households[household_id]
            .gather(order)
            .gather(np.repeat(np.arange(len(order)), counts)),
        }
    ).with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("_drawn"))
    members = members.with_columns(pl.int_range(pl.len()).alias("_row"))
    result = (
        drawn.join(members, left_on="source_household_id", right_on=household_id)
        .sort("_drawn", "_row")
        .with_columns(
            pl.col("_drawn").alias(household_id),
            pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(unit_id),
            pl.lit(float(weights.sum()) / n_households).alias(weight),
        )
    )
    return result.drop("_drawn", "_row")
