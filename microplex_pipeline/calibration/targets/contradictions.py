"""Contradictions between figures that follow from the figures alone, whatever the weights.

On the records, the domain of one target may lie inside that of another, or several may make up one. Their
values must agree.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from microplex_pipeline.calibration.targets.domains import domain_parts
from microplex_pipeline.calibration.targets.table import KEY

AGREES = 1e-3  # largest relative difference that is taken for rounding


def contradictions(targets: pl.DataFrame, rows: np.ndarray) -> list[str]:
    """Return figures that contradict each other, and by how much.

    Parameters
    ----------
    targets : KEY, value, standard_error and target (the name), m rows.
    rows : (m, n) contributions of the records to the targets.
    """
    found = []
    for _, group in targets.with_row_index("_k").group_by(KEY[:3], maintain_order=True):
        if group["measure"][0] in ("count", "sum"):
            found += list(_parts_and_totals(group, rows)) + list(_nested(group, rows))
    return found


def _parts_and_totals(group: pl.DataFrame, rows: np.ndarray) -> Iterator[str]:
    """Yield totals that differ from the sum of parts that make them up."""
    for columns, parts in _by_columns(group):
        whole = rows[parts["_k"].to_numpy()].sum(axis=0)
        for total in group.to_dicts():
            if total["_k"] in parts["_k"] or not np.allclose(rows[total["_k"]], whole):
                continue
            sum_, value = float(parts["value"].sum()), total["value"]
            if abs(sum_ - value) > AGREES * abs(value) + _allowed(parts) + _allowed_one(total):
                yield (
                    f"the {parts.height} parts of {total['target']} by {columns} add up to {sum_:,.0f}, the "
                    f"total is {value:,.0f}: they differ by {_share(sum_, value)}"
                )


def _by_columns(group: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield targets whose domains are of the same columns."""
    columns = [" and ".join(c for c, _ in domain_parts(d)) for d in group["domain"]]
    with_columns = group.with_columns(pl.Series("_columns", columns, pl.String))
    for (names,), parts in with_columns.group_by(["_columns"], maintain_order=True):
        if names and parts.height > 1:
            yield str(names), parts


def _nested(group: pl.DataFrame, rows: np.ndarray) -> Iterator[str]:
    """Yield targets that exceed another one in which they are contained."""
    of_group = rows[group["_k"].to_numpy()]
    if (of_group < 0).any():
        return
    found = group.to_dicts()
    for i, inner in enumerate(found):
        for j, outer in enumerate(found):
            inside = i != j and (of_group[i] <= of_group[j]).all()
            if not inside or (of_group[i] == of_group[j]).all():
                continue
            allowed = AGREES * abs(outer["value"]) + _allowed_one(inner) + _allowed_one(outer)
            if inner["value"] > outer["value"] + allowed:
                yield (
                    f"{inner['target']} = {inner['value']:,.0f} is more than {outer['target']} = "
                    f"{outer['value']:,.0f}, which contains it, by {_share(inner['value'], outer['value'])}"
                )


def area_gaps(areas: pl.DataFrame, targets: pl.DataFrame) -> list[str]:
    """Return targets of areas whose sum differs from the state's target of the same thing.

    Parameters
    ----------
    areas : targets of areas, see `published_area_targets`.
    targets : the state's targets; may be empty.
    """
    if targets.is_empty() or areas.is_empty():
        return []
    sums = areas.group_by(KEY, maintain_order=True).agg(
        pl.col("value").sum().alias("sum"), pl.len().alias("areas"), pl.col("file_year").first()
    )
    both = sums.join(targets, on=KEY)
    return [
        f"{row['target']}: the {row['areas']} areas' figures of {row['file_year']} add up to "
        f"{row['sum']:,.0f}, the state's is {row['value']:,.0f}, {_share(row['sum'], row['value'])} apart; "
        "the areas are scaled to the state"
        for row in both.to_dicts()
        if abs(row["sum"] - row["value"]) > AGREES * abs(row["value"])
    ]


def _allowed(parts: pl.DataFrame) -> float:
    return float(parts["standard_error"].fill_null(0.0).sum())


def _allowed_one(target: dict[str, float | None]) -> float:
    return target["standard_error"] or 0.0


def _share(value: float, of: float) -> str:
    return f"{100 * (value / of - 1):+.1f} %" if of else f"{value - of:+,.0f}"
