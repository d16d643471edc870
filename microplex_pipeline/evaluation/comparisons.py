"""Published figures that are compared with what the file gives, but not met."""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy.sparse as sp

from microplex_pipeline.calibration import CalibrationError, Targets, build_constraints
from microplex_pipeline.calibration.targets.table import KEY
from microplex_pipeline.evaluation.area_errors import weights_by_area

GROUP = ["geoid", "entity", "measure", "variable"]  # figures of one of them are parts of a whole


def compared_figures(
    records: pl.DataFrame,
    area_weights: pl.DataFrame,
    figures: pl.DataFrame,
    household_id: str,
) -> pl.DataFrame:
    """Return figures of areas with what the areas' weights give.

    Parameters
    ----------
    records : records of the state, with the columns that the figures name.
    area_weights : columns geoid, `household_id`, weight.
    figures : columns geoid, entity, measure, variable, domain, value, source, file_year.
    household_id : column that identifies households.

    Returns
    -------
    One row per figure, with the columns of COMPARISON_COLUMNS. `achieved` is null where the records lack a
    column that the figure names, and for areas without weights.
    """
    households = records.select(household_id).unique(maintain_order=True)
    # counties were renamed, divided and merged since old figures: those that are no more have no weights
    areas = figures.join(area_weights, on="geoid", how="semi")["geoid"].unique().sort()
    known = area_weights.filter(pl.col("geoid").is_in(areas.to_list()))
    weights = weights_by_area(known, households, household_id, areas)
    tables = []
    for row in figures.select(KEY).unique(maintain_order=True).to_dicts():
        of_key = figures.filter([pl.col(c) == v for c, v in row.items()])
        given = pl.DataFrame(
            {"geoid": areas, "achieved": _given(records, row, weights, household_id)}
        )
        tables.append(of_key.join(given, on="geoid", how="left"))
    if not tables:
        return figures.with_columns(
            pl.lit(None, pl.Float64).alias(c) for c in ("achieved", "share", "share_achieved")
        )
    parts = pl.col("measure").is_in(["count", "sum"])
    shares = [
        pl.when(parts).then(pl.col(c) / pl.col(c).sum().over(GROUP)).alias(name)
        for c, name in (("value", "share"), ("achieved", "share_achieved"))
    ]
    return pl.concat(tables).with_columns(shares).sort("entity", "variable", "domain", "geoid")


def _given(
    records: pl.DataFrame, key: dict[str, str], weights: sp.csr_array, household_id: str
) -> pl.Series:
    """Return what the weights of each area give for a figure, (areas,)."""
    asked = Targets(pl.DataFrame({**{k: [v] for k, v in key.items()}, "value": [0.0]}))
    try:
        system = build_constraints(records, asked, household_id)
    except CalibrationError:
        return pl.Series([None] * weights.shape[1], dtype=pl.Float64)
    given = np.asarray((system.matrix @ weights).todense())[0]
    if system.denominators is not None:
        below = np.asarray((system.denominators @ weights).todense())[0]
        given = np.divide(given, below, out=np.full(len(below), np.nan), where=below > 0)
    return pl.Series(given).fill_nan(None)
