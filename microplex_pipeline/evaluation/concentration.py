"""How much of a total rests on few records.

A total that a single record carries is that record's story, not the population's: it moves with every
draw, with every weight, and with whoever is left out. Shares are of the sum of absolute weighted amounts,
so that losses do not hide gains. Households are the records, since each has one weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from microplex_pipeline.calibration import Targets, build_constraints

STATE = "state"  # `area` of the rows of a whole state
TOP = 10


def amount_concentration(
    records: pl.DataFrame,
    amounts: Sequence[str],
    weight: str,
    household_id: str,
    area_weights: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return how the total of each amount is spread over households, for a state and its areas.

    Parameters
    ----------
    records : weighted records.
    amounts : columns of amounts.
    weight, household_id : columns of the weight, and of the household's number.
    area_weights : columns geoid, `household_id` and weight; None if there are no areas.

    Returns
    -------
    One row per area and amount that somebody has, with the columns of CONCENTRATION_COLUMNS.
    """
    households = records.group_by(household_id, maintain_order=True).agg(
        pl.col(weight).first(), *(pl.col(name).cast(pl.Float64).sum() for name in amounts)
    )
    weights = households[weight].cast(pl.Float64).to_numpy()[:, None]
    areas, by_area = [STATE], [weights]
    if area_weights is not None:
        wide = _area_matrix(area_weights, households[household_id], household_id)
        areas += wide[0]
        by_area.append(wide[1])
    matrix = np.hstack(by_area)
    tables = [
        _spread(matrix * households[name].to_numpy()[:, None], areas, "amount", name)
        for name in amounts
    ]
    return _of_somebody(pl.concat(tables))


def target_concentration(
    records: pl.DataFrame, targets: pl.DataFrame, weight: str, household_id: str
) -> pl.DataFrame:
    """Return how each target's achieved total is spread over households, as in `amount_concentration`.

    A target that few households meet is met through their weights alone. Means and ratios, whose
    contributions have no sum, are left out.
    """
    totals = targets.filter(pl.col("measure").is_in(["count", "sum"]))
    constraints = build_constraints(records, Targets(totals), household_id)
    first = records.unique(household_id, keep="first", maintain_order=True)
    weights = first[weight].cast(pl.Float64).to_numpy()
    rows = np.asarray(constraints.matrix.todense())
    dense = rows * weights
    tables = [
        _spread(row[:, None], [STATE], "target", name)
        for name, row in zip(constraints.names, dense, strict=True)
    ]
    return _of_somebody(pl.concat(tables))


def _area_matrix(
    area_weights: pl.DataFrame, households: pl.Series, household_id: str
) -> tuple[list[str], np.ndarray]:
    """Return the areas, sorted, and their weights (households, areas)."""
    areas = area_weights["geoid"].unique().sort()
    place = households.to_frame().with_row_index("row")
    rows = area_weights.join(place, on=household_id)
    columns = rows["geoid"].replace_strict(areas, np.arange(len(areas)), return_dtype=pl.Int64)
    matrix = np.zeros((len(households), len(areas)))
    matrix[rows["row"].to_numpy(), columns.to_numpy()] = rows["weight"].to_numpy()
    return areas.to_list(), matrix


def _spread(contributions: np.ndarray, areas: Sequence[str], kind: str, name: str) -> pl.DataFrame:
    """Return a row per area, given the contributions of households (households, areas)."""
    sizes = np.abs(contributions)
    sums = sizes.sum(axis=0)
    scale = np.where(sums > 0, sums, 1.0)
    top = -np.partition(-sizes, min(TOP, len(sizes)) - 1, axis=0)[:TOP]
    squares = np.square(sizes).sum(axis=0)
    return pl.DataFrame(
        {
            "area": areas,
            "kind": kind,
            "name": name,
            "total": contributions.sum(axis=0),
            "households": (sizes > 0).sum(axis=0).astype(np.int64),
            "effective_households": np.where(
                squares > 0, sums**2 / np.maximum(squares, 1e-300), 0.0
            ),
            "largest_share": top.max(axis=0) / scale,
            "top_ten_share": top.sum(axis=0) / scale,
        }
    )


def _of_somebody(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("households") > 0)
