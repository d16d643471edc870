"""Weighted statistics of one variable: total, mean, share, quantiles, Gini coefficient."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

TOP_CODE = 10  # times the median
Statistic = Callable[[np.ndarray, np.ndarray], float]  # of values (n,) and weights (n,)


def total(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the weighted sum; 0 of no values."""
    return float(values @ weights)


def mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the weighted mean; of truth values it is a share. NaN of no values."""
    whole = float(weights.sum())
    return float(values @ weights) / whole if whole else float("nan")


def quantile(values: np.ndarray, weights: np.ndarray, q: float) -> float:
    """Return the smallest value that at least a share `q` of the weight does not exceed; NaN of none."""
    if not len(values):
        return float("nan")
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order])
    place = np.searchsorted(share, q * share[-1] * (1 - 1e-12))
    return float(values[order][min(place, len(values) - 1)])


def gini(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the Gini coefficient, half the relative mean absolute difference.

    It exceeds 1 if losses are large. NaN if the mean is not positive.
    """
    average = mean(values, weights)
    if not average > 0:
        return float("nan")
    order = np.argsort(values, kind="stable")
    w = weights[order] / weights.sum()
    rank = np.cumsum(w) - w / 2
    return float(2 * (w * values[order] * (rank - 0.5)).sum() / average)


def top_coded_gini(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the Gini coefficient of values of which none counts as more than ten medians.

    A few incomes of millions can decide the Gini coefficient of a state, and most samples have none of them:
    no resampling of such a sample can tell its error. Top-coding was the rule of the Luxembourg Income Study
    for its key figures (Gottschalk and Smeeding 1997). NaN if the median or the mean is not positive.
    """
    highest = TOP_CODE * quantile(values, weights, 0.5)
    return gini(np.minimum(values, highest), weights) if highest > 0 else float("nan")


def below_relative_line(
    values: np.ndarray, weights: np.ndarray, fraction: float, of: float = 0.5
) -> float:
    """Return the share below a fraction of a quantile, the median by default.

    Of persons' equivalised household income, this is the relative poverty rate. The line is estimated
    too, so that its error enters that of the rate.
    """
    return mean((values < fraction * quantile(values, weights, of)).astype(float), weights)


def named(name: str, q: float | None = None) -> Statistic:
    """Return the statistic of a name: total, mean, share, median, quantile (at q), gini or top_coded_gini.

    Raises
    ------
    ValueError
        If there is no such statistic, or q is missing, not wanted, or not between 0 and 1.
    """
    plain: dict[str, Statistic] = {
        "total": total,
        "mean": mean,
        "share": mean,
        "gini": gini,
        "top_coded_gini": top_coded_gini,
    }
    if name == "quantile":
        if q is None or not 0 < q < 1:
            raise ValueError("a quantile needs q, a number between 0 and 1, e.g. 0.9")
        return partial(quantile, q=q)
    if q is not None:
        raise ValueError(f"q is for quantiles, not for {name!r}")
    if name == "median":
        return partial(quantile, q=0.5)
    if name not in plain:
        known = ", ".join([*plain, "median", "quantile"])
        raise ValueError(f"there is no statistic {name!r}: choose one of {known}")
    return plain[name]
