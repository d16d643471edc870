"""Linear programmes by HiGHS (Huangfu and Hall 2018, Math. Programming Computation 10: 119-142)."""

from __future__ import annotations

import highspy
import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.errors import NotConverged

# Where columns are nearly the same, the point found after presolve or scaling can lie outside the bounds
# by more than the tolerance, and HiGHS calls it unknown or infeasible. Each way starts again, with these
# changes.
WAYS: list[dict[str, str | int]] = [
    {},
    {"presolve": "off"},
    {"presolve": "on", "simplex_strategy": 4},  # primal
    {"presolve": "off"},
    {"simplex_scale_strategy": 0},
]


def linear_programme(
    cost: np.ndarray,
    matrix: sp.sparray,
    low: np.ndarray,
    high: np.ndarray,
    upper: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise cost' x subject to low <= matrix x <= high, 0 <= x <= upper, by the simplex method.

    Parameters
    ----------
    cost : (n,).
    matrix : (m, n) sparse.
    low, high : (m,) bounds of the rows; equal for an equation.
    upper : (n,) upper bounds, or None.

    Returns
    -------
    x (n,) at a vertex, and the rows' dual values (m,).

    Raises
    ------
    NotConverged
        If HiGHS found no optimum.
    """
    columns = sp.csc_array(matrix)
    model = highspy.HighsLp()
    model.num_row_, model.num_col_ = columns.shape
    model.col_cost_ = cost
    model.col_lower_ = np.zeros(len(cost))
    model.col_upper_ = np.full(len(cost), highspy.kHighsInf) if upper is None else upper
    model.row_lower_, model.row_upper_ = low, high
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = columns.indptr
    model.a_matrix_.index_ = columns.indices
    model.a_matrix_.value_ = columns.data
    solver = highspy.Highs()
    for option, setting in {"output_flag": False, "threads": 1, "solver": "simplex"}.items():
        solver.setOptionValue(option, setting)
    solver.passModel(model)
    for options in WAYS:
        for option, setting in options.items():
            solver.setOptionValue(option, setting)
        solver.clearSolver()
        solver.run()
        status = solver.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            solution = solver.getSolution()
            return np.array(solution.col_value), np.array(solution.row_dual)
    raise NotConverged(f"the linear programme ended as {solver.modelStatusToString(status)}")
