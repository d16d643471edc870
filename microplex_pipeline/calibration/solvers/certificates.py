"""Certificates: multipliers that prove that targets contradict each other within bounds of the weights.

With ratios of weight to design weight between `low` and `high`, the sum lam' A w is at most

    sum over records j of  d_j max(low u_j, high u_j),   u = A' lam.

If the targets ask for more than that, lam' b, no weights meet them (Farkas' lemma). Where targets
contradict each other the dual falls without end, and the multipliers of Newton's method soon are such a
proof.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.errors import NotConverged

PROVEN = (
    1e-7  # by how much more is asked for than possible, as a share of what the multipliers weigh
)


class Contradiction(NotConverged):
    """The targets contradict each other.

    Attributes
    ----------
    multipliers : (m,) a certificate.
    """

    def __init__(self, multipliers: np.ndarray) -> None:
        super().__init__("the targets contradict each other")
        self.multipliers = multipliers


def asked_beyond_possible(
    u: np.ndarray,
    multipliers: np.ndarray,
    least: np.ndarray,
    most: np.ndarray,
    design: np.ndarray,
    low: float,
    high: float,
) -> float:
    """Return by how much more than possible the targets ask for, as a share; above zero is a proof.

    Parameters
    ----------
    u : (n,) A' multipliers.
    multipliers : (m,).
    least, most : (m,) limits of the targets, equal if exact.
    design : (n,) design weights.
    low, high : bounds of the ratio of weight to design weight, finite.
    """
    limits = np.where(multipliers > 0, least, most)
    asked = float(np.where(multipliers == 0, 0.0, limits) @ multipliers)
    weighed = np.maximum(low * u, high * u)
    size = float(design @ np.abs(weighed))
    return (asked - float(design @ weighed)) / max(size, 1e-300) - PROVEN


def heaviest_rows(
    matrix: sp.csr_array,
    multipliers: np.ndarray,
    least: np.ndarray,
    most: np.ndarray,
    design: np.ndarray,
    bounds: tuple[float, float],
) -> np.ndarray:
    """Return few rows of a certificate (m,) that are a certificate by themselves, in order."""
    reach = abs(matrix) @ design
    order = np.argsort(-np.abs(multipliers) * reach, kind="stable")
    order = order[multipliers[order] != 0]

    def proves(count: int) -> bool:
        rows = order[:count]
        u = matrix[rows].T @ multipliers[rows]
        return (
            asked_beyond_possible(u, multipliers[rows], least[rows], most[rows], design, *bounds)
            > 0
        )

    few, enough = 0, 1
    while enough < len(order) and not proves(enough):
        few, enough = enough, min(2 * enough, len(order))
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if proves(middle) else (middle, enough)
    return np.sort(order[:enough])
