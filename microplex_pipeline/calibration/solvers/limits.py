"""Limits in a dual problem: targets that need only be met within an interval.

A total that may lie anywhere between b - below and b + above has a multiplier of either sign: positive if
the lower limit binds, negative if the upper one does, zero in between. The dual gains the term

    below max(lam, 0) + above max(-lam, 0),

which has a kink at zero. It is minimised by Newton's method within an orthant: a step moves the multipliers
that are not zero, or that the slope drives away from zero, and ends at zero where it would change a sign
(Andrew and Gao 2007, Scalable training of L1-regularized log-linear models; Bertsekas 1982, Projected Newton
methods, SIAM Journal on Control and Optimization 20: 221-246).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Limits:
    """How far totals may lie below and above their targets; arrays of any one shape, zero for no limits.

    Attributes
    ----------
    below, above : not negative; one of the two may be infinite.
    """

    below: np.ndarray
    above: np.ndarray

    @property
    def any(self) -> bool:
        """Whether a target has limits."""
        return bool((self.below > 0).any() or (self.above > 0).any())

    def cost(self, lam: np.ndarray) -> float:
        """Return the term of the dual."""
        up, down = lam > 0, lam < 0
        return float(self.below[up] @ lam[up] - self.above[down] @ lam[down])

    def gradient(self, lam: np.ndarray, smooth: np.ndarray) -> np.ndarray:
        """Return the subgradient of least size, given the gradient of the dual without the term."""
        rise, fall = smooth + self.below, smooth - self.above
        at_zero = np.where(rise < 0, rise, np.where(fall > 0, fall, 0.0))
        return np.where(lam > 0, rise, np.where(lam < 0, fall, at_zero))

    def free(self, lam: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Return which multipliers move, given the subgradient."""
        return (lam != 0) | (gradient != 0) | ~self.has

    @property
    def has(self) -> np.ndarray:
        """Which targets have limits."""
        return (self.below > 0) | (self.above > 0)

    def cut(self, lam: np.ndarray, gradient: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """Return multipliers after a step, zero where the step would have changed their sign."""
        sign = np.where(lam != 0, np.sign(lam), -np.sign(gradient))
        return np.where(self.has & (moved * sign < 0), 0.0, moved)
