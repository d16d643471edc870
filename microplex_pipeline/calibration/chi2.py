"""Chi-square distance: the linear method of calibration, with bounds on the weight ratio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
