"""The same problems as cvxpy programmes: the reference for the other solvers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.targets.constraints import Constraints
from microplex_pipeline.calibration.targets.precision import Precision

if TYPE_CHECKING:
    import cvxpy as cp

# tighter than Clarabel reaches: it then stops at its best, which is checked against the targets
PRECISE = {"tol_gap_abs": 1e-13, "tol_gap_rel": 1e-13, "tol_feas": 1e-13, "max_iter": 500}


def solve_cvxpy(
    constraints: Constraints,
    design: np.ndarray,
    method: str,
    bounds: tuple[float, float] | None,
    precision: Precision,
) -> np.ndarray:
    """Return weights (n,) by Clarabel, or by HiGHS for the vertices of "l0" and "l1".

    Parameters
    ----------
    method : "l0", "l1", "l2", "chi2", "raking" or "logit".
    bounds : lowest and highest ratio of weight to design weight, for "chi2" and "logit".
    precision : as in `solve_dual`.

    Raises
    ------
    NotConverged
        If the solver did not report an optimum.
    """
    import cvxpy as cp

    size = constraints.sizes(design)
    scaled = sp.csr_array(sp.diags_array(1 / size) @ constraints.matrix @ sp.diags_array(design))
    values = constraints.values / size
    ratio = cp.Variable(len(design), nonneg=True)
    hard, within, soft = (
        np.flatnonzero(np.array(precision.kinds) == kind)
        for kind in ("exact", "within", "penalized")
    )
    deviations = np.sqrt(precision.variances)
    # a record of mean design weight counts as one observation
    objective = OBJECTIVES[method](cp, ratio, design / design.mean(), bounds)
    limits = []
    if len(hard):
        limits.append(sp.csr_array(scaled[hard]) @ ratio == values[hard])
    if len(within):
        rows = sp.csr_array(scaled[within])
        low = (constraints.values - precision.below)[within] / size[within]
        high = (constraints.values + precision.above)[within] / size[within]
        limits += [
            sp.csr_array(rows[np.flatnonzero(known)]) @ ratio - edge[known] >= 0
            for rows, edge, known in (
                (rows, low, np.isfinite(low)),
                (-rows, -high, np.isfinite(high)),
            )
            if known.any()
        ]
    if len(soft):
        miss = cp.multiply(
            sp.csr_array(scaled[soft]) @ ratio - values[soft], size[soft] / deviations[soft]
        )
        objective = objective + cp.sum_squares(miss) / 2
    if bounds is not None:
        limits += [ratio >= bounds[0], ratio <= bounds[1]]
    problem = cp.Problem(cp.Minimize(objective), limits)
    try:
        if method in ("l0", "l1"):
            problem.solve(solver=cp.HIGHS)
        else:
            try:
                problem.solve(solver=cp.CLARABEL, **PRECISE)
            except cp.SolverError:  # it lost its way beyond its usual precision
                problem.solve(solver=cp.CLARABEL)
    except cp.SolverError as error:
        raise NotConverged(f"cvxpy: {error}") from error
    if problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
        raise NotConverged(f"cvxpy ended as {problem.status}")
    return np.maximum(np.asarray(ratio.value), 0.0) * design


def _logit(
    cp: Any, ratio: cp.Variable, count: np.ndarray, bounds: tuple[float, float] | None
) -> Any:
    """Return the logit distance (Deville and Sarndal 1992, case 6) as two relative entropies."""
    assert bounds is not None
    low, high = bounds
    rate = (high - low) / ((1 - low) * (high - 1))
    below = cp.kl_div(ratio - low, np.full(len(count), 1 - low))
    above = cp.kl_div(high - ratio, np.full(len(count), high - 1))
    return count @ (below + above) / rate


# what each method minimises, from cvxpy, the ratios, the (n,) counts of observations and the bounds
OBJECTIVES: dict[str, Callable[[Any, Any, np.ndarray, tuple[float, float] | None], Any]] = {
    "l0": lambda cp, ratio, count, bounds: cp.Constant(0) * cp.sum(ratio),
    "l1": lambda cp, ratio, count, bounds: count @ ratio,
    "l2": lambda cp, ratio, count, bounds: count @ cp.square(ratio) / 2,
    "chi2": lambda cp, ratio, count, bounds: count @ cp.square(ratio - 1) / 2,
    "raking": lambda cp, ratio, count, bounds: count @ cp.kl_div(ratio, np.ones(len(count))),
    "logit": _logit,
}
