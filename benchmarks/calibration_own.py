"""The project's own solvers: core functions on (A, b, d), and the Reweighter on frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from benchmarks.calibration_problems import Problem
from benchmarks.calibration_runs import Solve
from microplex_pipeline.calibration import Reweighter
from microplex_pipeline.calibration.solvers.conflicts import feasible_weights
from microplex_pipeline.calibration.solvers.distances import ChiSquare, Logit, Raking
from microplex_pipeline.calibration.solvers.dual_newton import solve_dual
from microplex_pipeline.calibration.solvers.record_budget import solve_budget
from microplex_pipeline.calibration.solvers.vertex import solve_vertex

BOUNDS = (0.1, 10.0)
BUDGET = 0.05
MAX_ITER = 1000
DISTANCES = {"chi2": ChiSquare(), "raking": Raking(), "logit": Logit(*BOUNDS)}
SETTINGS: dict[str, dict[str, Any]] = {
    "chi2": {"distance": "chi2"},
    "raking": {"distance": "raking"},
    "logit": {"distance": "logit", "bounds": BOUNDS},
    "sparse": {"sparsity": "l0"},
}


def prepare_core(problem: Problem, kind: str) -> Solve:
    """Solve by the dual Newton method from (A, b, d)."""
    distance = DISTANCES[kind]
    return lambda: solve_dual(problem.constraints, problem.design, distance, MAX_ITER).weights


def prepare_vertex(problem: Problem) -> Solve:
    """Find the fewest records, from (A, b, d)."""
    return lambda: solve_vertex(problem.constraints, problem.design, MAX_ITER)


def prepare_fit(problem: Problem, kind: str) -> Solve:
    """Fit the Reweighter on the frame and the long table of targets."""
    reweighter = Reweighter(**SETTINGS[kind])
    return lambda: reweighter.fit(problem.records, problem.targets, "weight").weights_


def prepare_fit_margins(problem: Problem) -> Solve:
    """Fit the Reweighter on a frame with a column of categories per margin, and the margins."""
    values = problem.constraints.values
    names = [f"margin{j}" for j in range(len(problem.cells))]
    frame = pl.DataFrame(dict(zip(names, problem.cells.astype(str), strict=True))).with_columns(
        weight=pl.Series(problem.design)
    )
    margins = {
        name: {str(c): float(values[c]) for c in np.unique(cells)}
        for name, cells in zip(names, problem.cells, strict=True)
    }
    reweighter = Reweighter(distance="raking", margins="rescale")
    return lambda: reweighter.fit(frame, margins, "weight").weights_


def prepare_budget_core(problem: Problem) -> Solve:
    """Keep about 5 % of the records, from (A, b, d)."""
    n = round(BUDGET * len(problem.design))
    return lambda: solve_budget(problem.constraints, problem.design, n, MAX_ITER, seed=0)


def prepare_budget(problem: Problem) -> Solve:
    """Keep about 5 % of the records, from the frame and the targets."""
    reweighter = Reweighter(sparsity="l0", n_records=round(BUDGET * len(problem.design)))
    return lambda: reweighter.fit(problem.records, problem.targets, "weight").weights_


def prepare_conflict(problem: Problem) -> Solve:
    """Name targets that contradict each other, from (A, b, d)."""

    def solve() -> np.ndarray:
        feasible_weights(problem.constraints, problem.design)
        raise RuntimeError("no contradiction was found")

    return solve
