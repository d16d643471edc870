"""Bounds of a joint distribution that two surveys' margins leave (Hoeffding 1940; Fréchet 1951).

Two variables that no survey has together are tied only by what both surveys have. Within a stratum of these
common variables, P(A and B) lies between max(0, P(A) + P(B) - 1) and min(P(A), P(B)); any value in between
agrees with both surveys. See D'Orazio, Di Zio and Scanu (2006), Statistical Matching, chapter 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.transforms.conditions import MAX_LEVELS

MIN_ROWS = 50  # of each survey in a stratum
PARTS = 4  # into which a number is cut for strata
STRATUM = "\0stratum"


def joint_bounds(
    recipient: pl.DataFrame,
    donor: pl.DataFrame,
    pair: tuple[str, str],
    common: Sequence[str],
    recipient_weights: np.ndarray,
    donor_weights: np.ndarray,
) -> pl.DataFrame:
    """Return the bounds of each cell of a table of two variables, of which each survey has one.

    Parameters
    ----------
    recipient, donor : the surveys; the population is the recipient's.
    pair : a column of the recipient, and one of the donor.
    common : columns that both have. Strata are cut by one after the other, as long as each has at least
        `MIN_ROWS` rows of each survey.
    recipient_weights, donor_weights : (n,) survey weights.

    Returns
    -------
    One row per cell: the two classes, low and high (shares of the population), and independent, the share if
    the two are independent within strata. Amounts have the classes "0", "low" and "high", cut at the weighted
    median of those not zero; negative ones count as low.
    """
    first, second = pair
    strata_r, strata_d = _strata(recipient, donor, common)
    a = _classes(recipient[first], recipient_weights)
    b = _classes(donor[second], donor_weights)
    rows, columns = np.unique(a), np.unique(b)
    low, high, independent = np.zeros((3, len(rows), len(columns)))
    total = recipient_weights.sum()
    for stratum in np.unique(strata_r):
        of_r, of_d = strata_r == stratum, strata_d == stratum
        share = recipient_weights[of_r].sum() / total
        p = _shares(a[of_r], recipient_weights[of_r], rows)[:, None]
        q = _shares(b[of_d], donor_weights[of_d], columns)[None, :]
        low += share * np.maximum(0.0, p + q - 1)
        high += share * np.minimum(p, q)
        independent += share * p * q
    return pl.DataFrame(
        [
            (row, column, float(low[i, k]), float(high[i, k]), float(independent[i, k]))
            for i, row in enumerate(rows)
            for k, column in enumerate(columns)
        ],
        schema={
            first: pl.String, second: pl.String,
            "low": pl.Float64, "high": pl.Float64, "independent": pl.Float64,
        },
        orient="row",
    )  # fmt: skip


def _classes(column: pl.Series, weights: np.ndarray) -> np.ndarray:
    """Return each value's class as text, (n,)."""
    if not column.dtype.is_numeric() or column.n_unique() <= MAX_LEVELS:
        return column.cast(pl.String).fill_null("missing").to_numpy()
    values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    own = np.flatnonzero(values > 0)
    order = own[np.argsort(values[own])]
    reached = weights[order].cumsum()
    middle = values[order][np.searchsorted(reached, reached[-1] / 2)] if len(own) else 0.0
    return np.select(
        [np.isnan(values), values == 0, values <= middle], ["missing", "0", "low"], "high"
    )


def _shares(classes: np.ndarray, weights: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Return the weighted share of each name among the classes."""
    return np.bincount(np.searchsorted(names, classes), weights, len(names)) / weights.sum()


def _strata(
    recipient: pl.DataFrame, donor: pl.DataFrame, common: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the stratum of each row of both surveys, cut further by each column where rows suffice."""
    n = recipient.height
    strata = np.zeros(n + donor.height, np.int64)
    of_recipient = np.arange(len(strata)) < n
    for name in common:
        both = pl.concat([recipient.select(name), donor.select(name)], how="vertical_relaxed")[
            name
        ]
        codes = _codes(both)
        finer = np.unique(strata * (codes.max() + 1) + codes, return_inverse=True)[1]
        counts_r = np.bincount(finer[of_recipient], minlength=finer.max() + 1)
        counts_d = np.bincount(finer[~of_recipient], minlength=finer.max() + 1)
        small = (counts_r < MIN_ROWS) | (counts_d < MIN_ROWS)
        # a stratum with a part that is too small stays whole
        whole = np.isin(strata, np.unique(strata[small[finer]]))
        strata = np.unique(np.where(whole, -1 - strata, finer), return_inverse=True)[1]
    return strata[:n], strata[n:]


def _codes(column: pl.Series) -> np.ndarray:
    """Return codes from 0: one per category, or per quarter of a number's values."""
    if not column.dtype.is_numeric() or column.n_unique() <= MAX_LEVELS:
        return column.cast(pl.String).rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    values = column.cast(pl.Float64).to_numpy()
    cuts = np.nanquantile(values, np.arange(1, PARTS) / PARTS)
    return np.where(np.isnan(values), PARTS, np.searchsorted(cuts, values, side="right"))
