"""The elastic programme: every target gets a slack, and the sum of the slacks is minimised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.solvers.highs import linear_programme
from microplex_pipeline.calibration.targets.constraints import Constraints
from microplex_pipeline.calibration.targets.precision import Precision

SLACK = 1e-8  # sum of relative slacks below which targets count as met

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Elastic:
    """The system with slacks, in units in which targets and typical weights are about one.

    Attributes
    ----------
    matrix : (m, n).
    least, most : (m,) limits of the totals, equal for an exact target; the contribution of the lower bounds
        is already subtracted.
    upper : (n,) largest weight above the lower bound, or None.
    lower : (n,) lower bounds, in original units.
    unit : (n,) original weight that equals one here.
    size : (m,) original value that equals one here.
    """

    matrix: sp.csr_array
    least: np.ndarray
    most: np.ndarray
    upper: np.ndarray | None
    lower: np.ndarray
    unit: np.ndarray
    size: np.ndarray

    def solve(
        self, rows: np.ndarray, pool: np.ndarray, max_iter: int, price: np.ndarray | None = None
    ) -> tuple[float, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Minimise the sum of slacks of some targets.

        Parameters
        ----------
        rows : positions of the targets.
        pool : positions of the records to start with; more join by column generation.
        max_iter : largest number of rounds.
        price : (rows,) of each target's slack; one by default.

        Returns
        -------
        The sum, the final pool, its weights, dual values and signed slacks of the rows.
        """
        A, least, most = self.matrix[rows], self.least[rows], self.most[rows]
        At, m = sp.csr_array(A.T), len(rows)
        price = np.ones(m) if price is None else price
        for _ in range(max_iter):
            k = len(pool)
            programme = sp.hstack([A[:, pool], sp.eye_array(m), -sp.eye_array(m)])
            top = None
            if self.upper is not None:
                top = np.concatenate([self.upper[pool], np.full(2 * m, np.inf)])
            x, dual = linear_programme(
                np.concatenate([np.zeros(k), price, price]), programme, least, most, top
            )
            total = float(x[k:].sum())
            gain = At @ dual
            gain[pool] = 0.0
            better = np.argsort(-gain)[: max(2 * m, len(gain) // 20)]
            better = better[gain[better] > 1e-9]
            if total < SLACK or not len(better):
                return total, pool, x[:k], dual, x[k : k + m] - x[k + m :]
            pool = np.union1d(pool, better)
        raise NotConverged(
            f"{max_iter} rounds did not decide whether the targets can be met: raise max_iter"
        )


def elastic(
    constraints: Constraints, design: np.ndarray, bounds: Bounds | None, precision: Precision
) -> Elastic:
    """Return the system in units in which targets and typical weights are about one."""
    size = constraints.sizes(design)
    matrix = sp.csr_array(sp.diags_array(1 / size) @ constraints.matrix @ sp.diags_array(design))
    values = constraints.values / size
    below, above = precision.below / size, precision.above / size
    if bounds is None:
        # typical weights as large as the targets need: HiGHS drops tiny coefficients
        gross = abs(matrix).sum(axis=1)
        asked = (np.abs(values) > 0) & (gross > 0)
        level = float(np.median(np.abs(values[asked]) / gross[asked])) if asked.any() else 1.0
        return Elastic(
            matrix * level, values - below, values + above, None, np.zeros(len(design)),
            design * level, size,
        )  # fmt: skip
    low, high = bounds
    upper = np.full(len(design), high - low)
    values = values - matrix @ np.full(len(design), low)
    return Elastic(matrix, values - below, values + above, upper, low * design, design, size)
