"""Distances between weights and design weights (Deville and Sarndal 1992, table 1).

A distance is a function G of the ratio r of weight to design weight. The dual problem needs three
functions derived from it: `ratio` is F, the inverse of G'; `slope` is F'; `integral` is an
antiderivative of F. They take arrays of any shape and act element by element.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit


@dataclass(frozen=True)
class ChiSquare:
    """G(r) = (r - 1)^2 / 2 for r within [low, high] (Deville and Sarndal 1992, cases 1 and 7)."""

    low: float = 0.0
    high: float = np.inf
    max_step: float = 50.0
    grows: bool = True

    def ratio(self, u: np.ndarray) -> np.ndarray:
        """F(u) = clip(1 + u, low, high)."""
        return np.clip(1 + u, self.low, self.high)

    def slope(self, u: np.ndarray) -> np.ndarray:
        """1 inside the bounds, 0 outside."""
        return ((1 + u > self.low) & (1 + u < self.high)).astype(float)

    def integral(self, u: np.ndarray) -> np.ndarray:
        """Quadratic inside the bounds, linear outside."""
        inside = np.clip(u, self.low - 1, self.high - 1)
        return inside + inside**2 / 2 + self.ratio(u) * (u - inside)


@dataclass(frozen=True)
class Raking:
    """G(r) = r log r - r + 1 (Deville and Sarndal 1992, case 2)."""

    max_step: float = 30.0
    grows: bool = False

    def ratio(self, u: np.ndarray) -> np.ndarray:
        """F(u) = exp(u)."""
        return np.exp(np.minimum(u, 700.0))

    slope = ratio

    def integral(self, u: np.ndarray) -> np.ndarray:
        """Return exp(u) - 1."""
        return np.expm1(np.minimum(u, 700.0))


@dataclass(frozen=True)
class Logit:
    """Deville and Sarndal (1992), case 6, for 0 <= low < 1 < high."""

    low: float
    high: float
    grows: bool = True

    @property
    def rate(self) -> float:
        """The rate for which F(0) = F'(0) = 1."""
        return (self.high - self.low) / ((1 - self.low) * (self.high - 1))

    @property
    def max_step(self) -> float:
        """Four logits: beyond that F is flat and its slope uninformative."""
        return 4.0 / self.rate

    def _share(self, u: np.ndarray) -> np.ndarray:
        return expit(self.rate * u + np.log((1 - self.low) / (self.high - 1)))

    def ratio(self, u: np.ndarray) -> np.ndarray:
        """F(u) = low + (high - low) * logistic(rate * u + offset)."""
        return self.low + (self.high - self.low) * self._share(u)

    def slope(self, u: np.ndarray) -> np.ndarray:
        """F'(u)."""
        share = self._share(u)
        return (self.high - self.low) * self.rate * share * (1 - share)

    def integral(self, u: np.ndarray) -> np.ndarray:
        """Phi(u) with Phi(0) = 0."""
        a, b = np.log(self.high - 1), np.log(1 - self.low)
        width = (self.high - self.low) / self.rate
        start = np.log(self.high - self.low)
        return self.low * u + width * (np.logaddexp(a, b + self.rate * u) - start)


@dataclass(frozen=True)
class LeastSquares:
    """G(r) = r^2 / 2 for r >= 0: distance from zero, in units of the design weights."""

    max_step: float = 1e6
    grows: bool = True

    def ratio(self, u: np.ndarray) -> np.ndarray:
        """F(u) = max(u, 0)."""
        return np.maximum(u, 0.0)

    def slope(self, u: np.ndarray) -> np.ndarray:
        """1 where u >= 0, so that the first step from u = 0 sees every record."""
        return (u >= 0).astype(float)

    def integral(self, u: np.ndarray) -> np.ndarray:
        """max(u, 0)^2 / 2."""
        return np.maximum(u, 0.0) ** 2 / 2
