"""Logit distance: the ratio of weight to design weight stays strictly inside bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit


@dataclass(frozen=True)
class Logit:
    """Deville and Sarndal (1992), case 6, for 0 <= low < 1 < high."""

    low: float
    high: float
    grows: bool = False

    @property
    def rate(self) -> float:
        """Rate that makes F(0) = F'(0) = 1."""
        return (self.high - self.low) / ((1 - self.low) * (self.high - 1))

    @property
    def max_step(self) -> float:
        """Four logits: beyond them F is flat and its slope says nothing."""
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
