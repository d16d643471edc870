"""Overlap of two surveys: how alike their conditions are, and which rows are beyond the donor's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.transforms.conditions import MAX_LEVELS
from microplex_pipeline.synthesis.transforms.transformer import Transformer

MOST_DONORS = 20_000  # of those that distances are measured to
FARTHER_THAN = (
    0.999  # share of the donors that are nearer to another donor than a row beyond support
)


def overlap_of(
    donor: pl.DataFrame,
    recipient: pl.DataFrame,
    names: Sequence[str],
    donor_weights: np.ndarray,
    recipient_weights: np.ndarray,
) -> pl.DataFrame:
    """Return how far the weighted distributions of columns lie apart, one row per column.

    Returns
    -------
    variable; measure, "total variation" for codes and "Kolmogorov-Smirnov" for other numbers; distance, from
    0 (the same) to 1 (nothing in common); donor_missing and recipient_missing, weighted shares of nulls.
    """
    rows = []
    for name in names:
        a, b = donor[name], recipient[name]
        codes = not a.dtype.is_numeric() or a.n_unique() <= MAX_LEVELS
        measure = "total variation" if codes else "Kolmogorov-Smirnov"
        both = (a.cast(pl.String), b.cast(pl.String)) if codes else (a, b)
        distances = np.abs(_cumulated(*both, donor_weights, recipient_weights, step=codes))
        distance = distances.sum() / 2 if codes else distances.max()
        rows.append(
            (
                name,
                measure,
                min(float(distance), 1.0),
                float(donor_weights[a.is_null().to_numpy()].sum() / donor_weights.sum()),
                float(recipient_weights[b.is_null().to_numpy()].sum() / recipient_weights.sum()),
            )
        )
    schema = ["variable", "measure", "distance", "donor_missing", "recipient_missing"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _cumulated(
    a: pl.Series, b: pl.Series, of_a: np.ndarray, of_b: np.ndarray, *, step: bool
) -> np.ndarray:
    """Return the difference of two weighted distributions at each value: of shares, or of cumulated ones."""
    values = pl.concat([a.rename("").to_frame(), b.rename("").to_frame()], how="vertical_relaxed")
    rank = values.to_series().rank("dense").fill_null(0).to_numpy().astype(np.int64)
    differences = np.bincount(rank, np.concatenate([of_a / of_a.sum(), -of_b / of_b.sum()]))
    return differences if step else differences.cumsum()


def beyond_support(
    donor: pl.DataFrame, recipient: pl.DataFrame, transformer: Transformer, seed: int
) -> np.ndarray:
    """Return which recipients are unlike all donors, (n,) bool.

    A row is beyond support if one of its numbers is smaller or larger than all of the donor's, or if it is
    farther from the nearest donor, by the encoded conditions, than 99.9 % of donors are from each other.

    Parameters
    ----------
    transformer : fitted on the donor.
    seed : of the donors that are compared, if there are more than `MOST_DONORS`.
    """
    from scipy.spatial import cKDTree

    outside = np.zeros(recipient.height, bool)
    for encoding in transformer.conditions:
        if encoding.numeric:
            low, high = donor[encoding.name].min(), donor[encoding.name].max()
            outside |= ~recipient[encoding.name].is_between(low, high).fill_null(True).to_numpy()
    chosen = donor.sample(min(donor.height, MOST_DONORS), seed=seed)
    points = transformer.context(chosen)
    tree = cKDTree(points)
    own = tree.query(points, k=2)[0][:, 1]  # the nearest is the row itself
    return outside | (
        tree.query(transformer.context(recipient))[0] > np.quantile(own, FARTHER_THAN)
    )
