"""Raking distance (Kullback-Leibler): weights stay positive, as in iterative proportional fitting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
