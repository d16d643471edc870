"""Sampling errors of weighted estimates by linearization, with households as the units that were sampled.

Records of one household come together into a sample, so their residuals are added up before they are
squared (Wolter 2007, Introduction to Variance Estimation, chapter 6, with replacement). Strata and stages
of the survey are unknown here: its published variances may be somewhat smaller or larger.
"""

from __future__ import annotations

from math import erfc, sqrt
from typing import NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """An estimate and its standard error."""

    value: float
    error: float


class HouseholdSample:
    """Weighted records in households, for estimates with their standard errors.

    Parameters
    ----------
    weights : (n,) weights of the records.
    households : (n,) number of each record's household, from 0 to the number of households less one.
    """

    def __init__(self, weights: np.ndarray, households: np.ndarray) -> None:
        self.weights = weights
        self.households = households
        self._n = int(households.max()) + 1
        # one weight per household; where its records differ, their mean
        of_household = np.bincount(households, weights) / np.bincount(households)
        self._household_weights = of_household

    def mean(self, values: np.ndarray) -> Estimate:
        """Return the weighted mean of the records (n,)."""
        total = self.weights.sum()
        value = float((self.weights * values).sum() / total)
        residuals = np.bincount(self.households, self.weights * (values - value))
        return Estimate(value, self._error(residuals) / float(total))

    def total(self, values: np.ndarray) -> Estimate:
        """Return the weighted total of the records (n,).

        Its error is that of the mean per household times the number of households: weighting controls that
        number, in a survey and in synthetic records alike.
        """
        value = float((self.weights * values).sum())
        per_household = value / float(self._household_weights.sum())
        sums = np.bincount(self.households, self.weights * values)
        return Estimate(value, self._error(sums - per_household * self._household_weights))

    def _error(self, residuals: np.ndarray) -> float:
        if self._n < 2:
            return float("nan")
        return sqrt(self._n / (self._n - 1) * float(np.square(residuals).sum()))


def z_of(first: Estimate, second: Estimate) -> float | None:
    """Return (second - first) over the standard error of the difference; None if neither varies."""
    error = sqrt(first.error**2 + second.error**2)
    return (second.value - first.value) / error if error > 0 else None


def two_sided_p(z: float) -> float:
    """Return the probability that a standard normal variable is at least |z| from zero."""
    return erfc(abs(z) / sqrt(2))


def ks_p(distance: float, n: float, m: float) -> float:
    """Return how probable a Kolmogorov-Smirnov distance this large is between samples of one population.

    The asymptotic distribution with Stephens' correction (1970, Journal of the Royal Statistical Society B
    32: 115-122). It is conservative for amounts with heaps.

    Parameters
    ----------
    n, m : effective numbers of the two samples.
    """
    from scipy.special import kolmogorov

    root = sqrt(n * m / (n + m))
    return float(kolmogorov((root + 0.12 + 0.11 / root) * distance))


def ks_limit(p: float, n: float, m: float) -> float:
    """Return the Kolmogorov-Smirnov distance that samples of one population exceed with probability p."""
    from scipy.special import kolmogi

    root = sqrt(n * m / (n + m))
    return float(kolmogi(p) / (root + 0.12 + 0.11 / root))


def effective_number(weights: np.ndarray) -> float:
    """Return Kish's effective number of weighted records."""
    return float(weights.sum() ** 2 / np.square(weights).sum())
