"""The same problems as cvxpy programmes, the reference that the other solvers are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.constraints import Constraints
from microplex_pipeline.calibration.errors import NotConverged

if TYPE_CHECKING:
    import cvxpy as cp


def solve_cvxpy(
    constraints: Constraints,
    design: np.ndarray,
    method: str,
    bounds: tuple[float, float] | None,
) -> np.ndarray:
    """Return weights (n,) by Clarabel, or by HiGHS for the vertices of "l0" and "l1".

    Parameters
    ----------
    method : "l0", "l1", "l2", "chi2", "raking" or "logit".
    bounds : of the ratio of weight to design weight, for "chi2" and "logit".

    Raises
    ------
    NotConverged
        If the solver did not report an optimum.
    """
    import cvxpy as cp

    size = np.maximum(np.abs(constraints.values), 1.0)
    scaled = sp.diags_array(1 / size) @ constraints.matrix @ sp.diags_array(design)
    ratio = cp.Variable(len(design), nonneg=True)
    limits = [sp.csr_array(scaled) @ ratio == constraints.values / size]
    if bounds is not None:
        limits += [ratio >= bounds[0], ratio <= bounds[1]]
    problem = cp.Problem(cp.Minimize(_objective(cp, method, ratio, design, bounds)), limits)
    try:
        problem.solve(solver=cp.HIGHS if method in ("l0", "l1") else cp.CLARABEL)
    except cp.SolverError as error:
        raise NotConverged(f"cvxpy: {error}") from error
    if problem.status != cp.OPTIMAL:
        raise NotConverged(f"cvxpy ended as {problem.status}")
    return np.maximum(np.asarray(ratio.value), 0.0) * design


def _objective(
    cp: Any,
    method: str,
    ratio: cp.Variable,
    design: np.ndarray,
    bounds: tuple[float, float] | None,
) -> Any:
    share = design / design.sum()
    if method == "l0":
        return cp.Constant(0) * cp.sum(ratio)
    if method == "l1":
        return share @ ratio
    if method == "l2":
        return share @ cp.square(ratio)
    if method == "chi2":
        return share @ cp.square(ratio - 1)
    if method == "raking":
        return share @ cp.kl_div(ratio, np.ones(len(design)))
    if method == "logit" and bounds is not None:
        low, high = bounds
        below = cp.kl_div(ratio - low, np.full(len(design), 1 - low))
        above = cp.kl_div(high - ratio, np.full(len(design), high - 1))
        return share @ (below + above)
    raise ValueError(f"unknown method {method!r}")
