"""Solve a calibration by a method, and check that its weights meet the targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.limits_of_means import one_sided
from microplex_pipeline.calibration.methods import Method, Task
from microplex_pipeline.calibration.solvers.conflicts import feasible_weights
from microplex_pipeline.calibration.solvers.dual_newton import Solution
from microplex_pipeline.calibration.targets.table import listed

STAGES = (1e4, 1e3, 1e2, 10.0, 1.0)  # factors of standard errors
LIMIT_ROUNDING = 1e-7  # of a target's size, by which rounding may take a total beyond its limits


def solve(method: Method, task: Task) -> Solution:
    """Solve; if that fails or takes long, first look for targets that contradict each other.

    If Newton's method does not get there although weights exist, an interior-point solver (Clarabel, through
    cvxpy) solves the same problem: it is slower, but does not depend on the starting point.

    Raises
    ------
    InfeasibleTargets
        If exact targets and limits contradict each other.
    NotConverged
        If they do not, but no weights were found.
    """
    rows = one_sided(task.constraints, task.precision)
    start = None if task.start is None else rows.unfolded(task.start)
    found = _solve(
        method, replace(task, constraints=rows.constraints, precision=rows.precision, start=start)
    )
    return replace(found, multipliers=rows.folded(found.multipliers))


def _solve(method: Method, task: Task) -> Solution:
    quick = min(task.max_iter, method.quick_steps or task.max_iter)
    try:
        return method.solve(replace(task, max_iter=quick))
    except NotConverged:
        firm = ~task.precision.penalized
        if firm.any():
            feasible_weights(
                task.constraints.only(firm), task.design, bounds=task.bounds,
                precision=task.precision.at(firm),
            )  # fmt: skip
        if quick == task.max_iter:
            raise
    try:
        return _by_stages(method, task)
    except NotConverged:
        if method.interior is None:
            raise
    return replace(method.interior(task), interior=True)


def _by_stages(method: Method, task: Task) -> Solution:
    """Solve with larger standard errors first, and start from that solution with smaller ones.

    A target that cannot be met has a multiplier of miss over variance. It is out of reach of the first steps
    if the standard error is tiny, but is known from that of a larger one.
    """
    penalized = task.precision.penalized
    if not penalized.any():
        return method.solve(task)
    start, before = task.start, STAGES[0]
    for factor in STAGES:
        if start is not None:
            start = np.where(penalized, start * (before / factor) ** 2, start)
        before = factor
        wider = replace(task.precision, standard_errors=task.precision.standard_errors * factor)
        found = method.solve(replace(task, precision=wider, start=start))
        start = found.multipliers
    return found


def require_met(task: Task, weights: np.ndarray, tol: float) -> None:
    """Raise NotConverged if weights (n,) miss an exact target or a limit.

    Parameters
    ----------
    tol : largest miss of an exact target, as a share of its value.
    """
    constraints, precision = task.constraints, task.precision
    asked = constraints.values if constraints.asked is None else constraints.asked
    gaps = constraints.matrix @ weights - constraints.values
    sizes = constraints.sizes(task.design)
    if constraints.denominators is not None:
        below = constraints.denominators @ weights
        empty = constraints.ratios & (below <= 0) & ~precision.penalized
        if empty.any():
            names = [constraints.names[i] for i in np.flatnonzero(empty)]
            raise NotConverged(
                f"no weight is left in the domain of a mean or ratio: {listed(names)}. Add a target for the "
                "domain's count or sum, or drop the mean"
            )
        # a small domain's miss is large in units of the mean, however little it weighs
        apart = np.nan_to_num(constraints.achieved(weights) - asked)
        gaps = np.where(constraints.ratios, apart, gaps)
        sizes = np.where(constraints.ratios, np.where(asked == 0, 1.0, np.abs(asked)), sizes)
    errors = np.abs(gaps) / sizes
    beyond = np.maximum(gaps - precision.above, -gaps - precision.below) / sizes
    missed = np.where(precision.within, beyond > LIMIT_ROUNDING, errors > tol)
    missed = (missed | ~np.isfinite(errors)) & ~precision.penalized
    if missed.any():
        names = [constraints.names[i] for i in np.flatnonzero(missed)]
        worst = np.where(precision.within, beyond, errors)[missed].max()
        raise NotConverged(
            f"targets missed by more than tol={tol:g}, or outside their limits: {listed(names)} (the worst "
            f"by {worst:.3g}). Raise max_iter or tol, or drop these targets"
        )
