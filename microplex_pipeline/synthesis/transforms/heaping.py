"""Heaping: how much more likely round figures are than their neighbours.

Reported amounts are rounded to multiples of 1000, 500, 100, 50, 10 or 5, or not at all. The probability
of a whole number between two knots of a margin is therefore not constant, but proportional to

    h(x) = sum over levels r that divide x of  p_r r,

where the shares p_r of the levels are estimated from the values themselves (Heitjan and Rubin 1990,
Journal of the American Statistical Association 85: 304-314). Only shares are estimated, so heaping
discloses nothing about a single record.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = np.array([1, 5, 10, 50, 100, 500, 1000])
DECADES = np.array([0.0, 1e3, 1e4, 1e5])  # shares differ by size: large amounts are rounder
ROUNDING = 1e-6
EM_STEPS = 60
PSEUDO = 5.0  # records that the shares of all decades count for in each decade's shares


@dataclass(frozen=True)
class Heaping:
    """Shares of the rounding levels by size of the amount.

    Attributes
    ----------
    shares : (len(DECADES), len(LEVELS)); each row adds up to one.
    """

    shares: np.ndarray

    def check(self) -> None:
        """Raise ValueError if these are no shares."""
        if (self.shares < 0).any() or (abs(self.shares.sum(axis=1) - 1) > ROUNDING).any():
            raise ValueError("its shares of rounding levels do not add up to one")

    def cumulated(self, x: np.ndarray) -> np.ndarray:
        """Return H(x), the sum of h over the whole numbers from 1 to x, for x >= 0; same shape as x."""
        x = np.asarray(x, float)
        total = np.zeros_like(x)
        ends = np.append(DECADES[1:], np.inf)
        for start, end, shares in zip(DECADES, ends, self.shares, strict=True):
            # whole numbers of this decade: from start (1 in the first) to end - 1
            below = np.maximum(start - 1, 0)
            if x.max(initial=0.0) <= below:
                break
            upto = np.clip(x, below, end - 1)
            for level, share in zip(LEVELS, shares, strict=True):
                total += share * level * (np.floor(upto / level) - np.floor(below / level))
        return total

    def whole_number(self, h: np.ndarray) -> np.ndarray:
        """Return the smallest whole number x with H(x) >= h, for each of h (n,)."""
        reach = 2.0 * LEVELS[-1] * len(DECADES)
        low = np.maximum(np.floor(h) - reach, 0.0)  # H(low) < h
        high = np.ceil(h) + reach
        for _ in range(int(np.ceil(np.log2(2 * reach + 2)))):
            middle = np.floor((low + high) / 2)
            enough = self.cumulated(middle) >= h
            high = np.where(enough, middle, high)
            low = np.where(enough, low, middle)
        return high


def fit_heaping(values: np.ndarray, weights: np.ndarray) -> Heaping:
    """Estimate the shares of the rounding levels by EM.

    Parameters
    ----------
    values : (n,) whole numbers >= 1.
    weights : (n,) positive.
    """
    if not len(values):
        return even_heaping()
    weights = weights / weights.mean()
    decade = np.searchsorted(DECADES, values, side="right") - 1
    divides = (values[:, None] % LEVELS) == 0
    pooled = _shares(divides, weights, np.eye(len(LEVELS))[0], 1.0)
    rows = []
    for d in range(len(DECADES)):
        inside = decade == d
        rows.append(_shares(divides[inside], weights[inside], pooled, PSEUDO))
    return Heaping(np.array(rows))


def even_heaping() -> Heaping:
    """Return the absence of heaping: every whole number is as likely as its neighbours."""
    shares = np.zeros((len(DECADES), len(LEVELS)))
    shares[:, 0] = 1.0
    return Heaping(shares)


def _shares(
    divides: np.ndarray, weights: np.ndarray, prior: np.ndarray, pseudo: float
) -> np.ndarray:
    """Estimate the levels' shares by EM, shrunk towards prior shares.

    Parameters
    ----------
    divides : (n, len(LEVELS)) which levels divide each value.
    weights : (n,) positive.
    prior : (len(LEVELS),) prior shares.
    pseudo : number of records that the prior counts for.
    """
    # values divided by the same levels share a row: at most one row per level
    bits = np.arange(len(LEVELS))[::-1]
    kind = divides @ (1 << bits)
    counts = np.bincount(kind, weights, minlength=1 << len(LEVELS))
    occurring = np.flatnonzero(np.bincount(kind, minlength=len(counts)))
    kinds, counts = (occurring[:, None] >> bits) & 1, counts[occurring]
    shares = (prior + 1.0 / len(prior)) / 2
    for _ in range(EM_STEPS):
        density = kinds * (shares * LEVELS)
        belongs = density / density.sum(axis=1, keepdims=True)
        before, shares = shares, counts @ belongs + pseudo * prior
        shares = shares / shares.sum()
        if (shares == before).all():
            break
    return shares
