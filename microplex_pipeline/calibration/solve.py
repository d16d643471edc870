"""Solve a calibration by a method, and check that its weights meet the targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.methods import Method, Task
from microplex_pipeline.calibration.solvers.conflicts import feasible_weights
from microplex_pipeline.calibration.solvers.dual_newton import Solution
from microplex_pipeline.calibration.targets.table import listed


def solve(method: Method, task: Task) -> Solution:
    """Solve; if that fails or takes long, first look for targets that contradict each other.

    Raises
    ------
    InfeasibleTargets
        If targets that must be met exactly contradict each other.
    NotConverged
        If they do not, but no weights were found within `max_iter`.
    """
    quick = min(task.max_iter, method.quick_steps or task.max_iter)
    try:
        return method.solve(replace(task, max_iter=quick))
    except NotConverged:
        exact = task.constraints.only(task.deviations == 0)
        if len(exact.values):
            feasible_weights(exact, task.design, bounds=task.bounds)
        if quick == task.max_iter:
            raise
    return method.solve(task)


def require_met(task: Task, weights: np.ndarray, tol: float) -> None:
    """Raise NotConverged if weights (n,) miss an exact target by more than `tol` of its value."""
    constraints = task.constraints
    gaps = constraints.matrix @ weights - constraints.values
    errors = gaps / constraints.sizes(task.design)
    fits = (np.abs(errors) <= tol) | ((task.deviations > 0) & np.isfinite(errors))
    if constraints.denominators is not None:  # if all weights are zero there is no mean
        ratios = np.diff(constraints.denominators.indptr) > 0
        errors = np.where(ratios & (constraints.denominators @ weights <= 0), np.inf, errors)
        fits &= np.isfinite(errors)
    if not fits.all():
        missed = [constraints.names[i] for i in np.flatnonzero(~fits)]
        raise NotConverged(
            f"targets missed by more than tol={tol:g}: {listed(missed)} (the worst by "
            f"{np.abs(errors[~fits]).max():.3g}). Raise max_iter or tol, or drop these targets"
        )
