"""Least squares: the non-negative weights of smallest sum of squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
