"""Linear programmes over the weights by HiGHS, with column generation; conflicts among targets.

A vertex of {A w = b, w >= 0} has at most rank(A) records, so sparse weights are vertices. Only a
small pool of records enters each programme; records of negative reduced cost join it until none is
left (Dantzig and Wolfe 1960, Operations Research 8: 101-111).
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.constraints import Constraints
from microplex_pipeline.calibration.errors import InfeasibleTargets, NotConverged
from microplex_pipeline.calibration.targets import listed

SLACK = 1e-8  # total relative slack below which targets count as met


@dataclass(frozen=True)
class _Scaled:
    """The system in units where targets are about one and a typical weight is one."""

    matrix: sp.csr_array
    values: np.ndarray
    unit: float


def solve_vertex(
    constraints: Constraints, design: np.ndarray, max_iter: int, cost: np.ndarray | None = None
) -> np.ndarray:
    """Return weights (n,) at a vertex of the feasible set, of least cost where costs are given.

    Parameters
    ----------
    design : (n,) design weights: heavy records enter the pool first.
    max_iter : rounds of column generation, at the most.
    cost : (n,) non-negative costs per unit of weight, or None for any vertex.

    Raises
    ------
    InfeasibleTargets
        If no weights meet the targets, with a smallest conflicting set.
    NotConverged
        If `max_iter` rounds were not enough.
    """
    system = _scale(constraints, design)
    A, b = system.matrix, system.values
    m, n = A.shape
    At = sp.csr_array(A.T)
    pool = _first_pool(A, design)
    feasible = False
    for _ in range(max_iter):
        slack_cost = np.zeros(0) if feasible else np.ones(2 * m)
        slack = [] if feasible else [sp.eye_array(m), -sp.eye_array(m)]
        price = cost[pool] if cost is not None and feasible else np.zeros(len(pool))
        x, dual = _highs(np.concatenate([price, slack_cost]), sp.hstack([A[:, pool], *slack]), b)
        if not feasible and x[len(pool) :].sum() < SLACK:
            feasible = True
            if cost is not None:
                continue
        reduced = At @ dual
        if cost is not None and feasible:
            reduced = reduced - cost
        reduced[pool] = 0.0
        better = np.argsort(-reduced)[: 2 * m]
        better = better[reduced[better] > 1e-9]
        if feasible and (cost is None or not len(better)):
            weights = np.zeros(n)
            weights[pool] = x[: len(pool)]
            return _polished(system, weights) * system.unit
        if not len(better):
            raise conflict(constraints, system, dual)
        pool = np.union1d(pool, better)
    raise NotConverged(f"no vertex was reached in {max_iter} rounds: raise max_iter")


def check_feasible(constraints: Constraints, design: np.ndarray, max_iter: int = 1000) -> None:
    """Raise InfeasibleTargets if no non-negative weights meet the constraints."""
    solve_vertex(constraints, design, max_iter)


def conflict(constraints: Constraints, system: _Scaled, dual: np.ndarray) -> InfeasibleTargets:
    """Name a smallest set of targets that cannot hold together, by deletion.

    The rows of a Farkas certificate contain such a set (Chinneck and Dravnieks 1991, ORSA Journal
    on Computing 3: 157-168); each row is left out in turn and stays out if the rest still conflict.
    """
    rows: list[int] = np.flatnonzero(np.abs(dual) > 1e-7).tolist()
    position = 0
    while position < len(rows):
        rest = rows[:position] + rows[position + 1 :]
        if rest and _total_slack(system, rest) > SLACK:
            rows = rest
        else:
            position += 1
    names = [constraints.names[i] for i in rows]
    values = [f"{constraints.names[i]} = {constraints.values[i]:,.10g}" for i in rows]
    together = "cannot hold" if len(rows) == 1 else "cannot hold together"
    return InfeasibleTargets(
        f"no non-negative weights meet these targets, which {together} on these records: "
        f"{listed(values, 20)}. Correct or drop one of them",
        names,
    )


def _total_slack(system: _Scaled, rows: list[int]) -> float:
    """Return the least total relative slack with which the given targets can be met."""
    # records that are alike on these rows are one column
    columns = np.unique(system.matrix[rows].toarray(), axis=1)
    k, m = columns.shape[1], len(rows)
    A = sp.hstack([sp.csc_array(columns), sp.eye_array(m), -sp.eye_array(m)])
    x, _ = _highs(np.concatenate([np.zeros(k), np.ones(2 * m)]), A, system.values[rows])
    return float(x[k:].sum())


def _scale(constraints: Constraints, design: np.ndarray) -> _Scaled:
    unit = float(np.abs(design).mean())
    size = np.maximum(np.abs(constraints.values), 1.0)
    matrix = sp.csr_array(sp.diags_array(unit / size) @ constraints.matrix)
    return _Scaled(matrix, constraints.values / size, unit)


def _first_pool(A: sp.csr_array, design: np.ndarray) -> np.ndarray:
    """Start with records spread over the file by weight, and a few carriers of every target."""
    m, n = A.shape
    size = min(n, 6 * m)
    share = np.cumsum(design) / design.sum()
    spread = np.searchsorted(share, (np.arange(size) + 0.5) / size).clip(max=n - 1)
    carriers = []
    for i in range(m):
        columns = A.indices[A.indptr[i] : A.indptr[i + 1]]
        carriers.append(columns[:: max(1, len(columns) // 4)][:5])
    return np.unique(np.concatenate([spread, *carriers]))


def _polished(system: _Scaled, weights: np.ndarray) -> np.ndarray:
    """Solve the vertex's equations again on its support: the solver stops at 1e-7, rounding does not."""
    support = np.flatnonzero(weights > 1e-10 * weights.max())
    basis = system.matrix[:, support]
    size = np.sqrt(np.asarray(basis.multiply(basis).sum(axis=0)).ravel())
    scaled = (basis @ sp.diags_array(1 / size)).toarray()
    z = weights[support] * size
    correction, *_ = np.linalg.lstsq(scaled, system.values - scaled @ z, rcond=1e-12)
    result = np.zeros_like(weights)
    result[support] = np.maximum((z + correction) / size, 0.0)
    return result


def _highs(
    cost: np.ndarray, matrix: sp.sparray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise cost' x subject to matrix x = values, x >= 0; return x and the rows' dual values."""
    columns = sp.csc_array(matrix)
    model = highspy.HighsLp()
    model.num_row_, model.num_col_ = columns.shape
    model.col_cost_ = cost
    model.col_lower_ = np.zeros(len(cost))
    model.col_upper_ = np.full(len(cost), highspy.kHighsInf)
    model.row_lower_ = model.row_upper_ = values
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = columns.indptr
    model.a_matrix_.index_ = columns.indices
    model.a_matrix_.value_ = columns.data
    solver = highspy.Highs()
    for option, setting in {"output_flag": False, "threads": 1, "solver": "simplex"}.items():
        solver.setOptionValue(option, setting)
    solver.passModel(model)
    solver.run()
    status = solver.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        raise NotConverged(f"the linear programme ended as {solver.modelStatusToString(status)}")
    solution = solver.getSolution()
    return np.array(solution.col_value), np.array(solution.row_dual)
