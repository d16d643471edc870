"""Conflicts: find targets that cannot hold together, by elastic programmes and deletion.

The elastic programme gives every target a slack and minimises the sum of the slacks. Its dual is a
Farkas certificate, whose rows contain a smallest conflicting set (an irreducible infeasible subset;
Chinneck and Dravnieks 1991, ORSA Journal on Computing 3: 157-168).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.errors import InfeasibleTargets, NotConverged
from microplex_pipeline.calibration.solvers.certificates import Contradiction, heaviest_rows
from microplex_pipeline.calibration.solvers.distances import ChiSquare
from microplex_pipeline.calibration.solvers.dual_newton import solve_dual
from microplex_pipeline.calibration.solvers.elastic import SLACK, Bounds, Elastic, elastic
from microplex_pipeline.calibration.targets.constraints import Constraints
from microplex_pipeline.calibration.targets.precision import Precision

SOFT = (
    1e-2,
    1e-3,
    1e-4,
)  # standard errors, as shares of the values, of the least squares problems
NEWTON_STEPS = 100
ROUNDS = 1000
OTHERS = (
    1e4  # price of the other targets' slack when one target's nearest possible value is sought
)
SHOWN = 20  # targets named in a message


def feasible_weights(
    constraints: Constraints,
    design: np.ndarray,
    max_iter: int = ROUNDS,
    bounds: Bounds | None = None,
    precision: Precision | None = None,
) -> np.ndarray:
    """Return some weights (n,) that meet the targets to about 1e-8, or explain why there are none.

    Parameters
    ----------
    design : (n,) positive design weights.
    max_iter : largest number of rounds of column generation.
    bounds : lowest and highest ratio of weight to design weight, or None for w >= 0 alone.
    precision : which targets have limits, in units of their rows; None if all must be met exactly.

    Raises
    ------
    InfeasibleTargets
        If there are none, with a smallest conflicting set and the value that each target would need.
    NotConverged
        If `max_iter` rounds were not enough.
    """
    precision = precision or Precision.exact(len(constraints.values))
    system = elastic(constraints, design, bounds, precision)
    if bounds is not None and np.isfinite(bounds[1]):
        try:
            distance = ChiSquare(*bounds)
            return solve_dual(
                constraints, design, distance, NEWTON_STEPS, precision=precision
            ).weights
        except Contradiction as proof:
            rows = _smallest(constraints, system, design, proof.multipliers, bounds, precision)
            system, pool = _alike_together(system, constraints, rows)
            raise _named(constraints, system, rows, pool, max_iter, bounds, precision) from None
        except NotConverged:
            pass  # a linear programme decides
    _refuse_obvious(constraints, design, system, max_iter, bounds, precision)
    rows = np.arange(len(constraints.values))
    pool = _pool(system, rows, design, bounds)
    total, pool, x, dual, _ = system.solve(rows, pool, max_iter)
    if total >= SLACK:
        rows = np.flatnonzero(np.abs(dual) > 1e-7)
        raise _conflict(constraints, system, rows, pool, max_iter, bounds, precision)
    weights = system.lower.copy()
    weights[pool] += x * system.unit[pool]
    return weights


def _refuse_obvious(
    constraints: Constraints, design: np.ndarray, system: Elastic, max_iter: int,
    bounds: Bounds | None, precision: Precision,
) -> None:  # fmt: skip
    """Raise InfeasibleTargets for a conflict that is cheap to find.

    First each target is tried alone, then those that a least squares solution misses. Such a solution
    always exists and is quick to find. Linear programmes over the missed targets then decide whether
    these contradict each other. This finds most conflicts in a hundredth of the time of a programme over
    all targets.
    """
    if bounds is not None:
        width = bounds[1] - bounds[0]
        largest = system.matrix.maximum(0).sum(axis=1) * width
        smallest = system.matrix.minimum(0).sum(axis=1) * width
        alone = np.maximum(system.least - largest, smallest - system.most)
        if alone.max() > SLACK:
            worst = np.array([np.argmax(alone)])
            pool = _pool(system, worst, design, bounds)
            raise _conflict(constraints, system, worst, pool, max_iter, bounds, precision)
    misses = _least_misses(constraints, design, bounds, precision)
    suspects = np.flatnonzero(misses > max(0.01 * misses.max(initial=0.0), SLACK))
    suspects = suspects[np.argsort(-misses[suspects], kind="stable")]
    count = 1
    while count < 2 * len(suspects):  # the worst alone, the worst two, four, ...
        rows = np.sort(suspects[:count])
        pool = _pool(system, rows, design, bounds)
        total, pool, _, dual, _ = system.solve(rows, pool, max_iter)
        if total >= SLACK:
            rows = rows[np.abs(dual) > 1e-7]
            raise _conflict(constraints, system, rows, pool, max_iter, bounds, precision)
        count *= 2


def _smallest(
    constraints: Constraints, system: Elastic, design: np.ndarray, multipliers: np.ndarray,
    bounds: Bounds, precision: Precision,
) -> np.ndarray:  # fmt: skip
    """Return few targets that contradict each other, from multipliers (m,) that prove it for all.

    Every target is left out in turn, the least weighty first; if the rest still contradict each other, as
    Newton's method proves in a few steps, it is not needed.
    """

    def proving(rows: np.ndarray, proof: np.ndarray) -> list[int]:
        values = constraints.values[rows]
        least, most = values - precision.below[rows], values + precision.above[rows]
        A = sp.csr_array(constraints.matrix[rows])
        return rows[heaviest_rows(A, proof, least, most, design, bounds)].tolist()

    reach = np.abs(multipliers) * (abs(constraints.matrix) @ design)
    left, needed = proving(np.arange(len(multipliers)), multipliers), list[int]()
    left.sort(key=lambda i: reach[i])
    while left:
        tried = left.pop(0)
        rest = np.array(needed + left, int)
        if not len(rest):
            needed.append(tried)
            break
        try:
            concerned = _concerned(constraints.matrix[rest])
            solve_dual(
                constraints.only(rest).of(concerned), design[concerned], ChiSquare(*bounds),
                NEWTON_STEPS, precision=precision.at(rest),
            )  # fmt: skip
        except Contradiction as proof:
            found = proving(rest, proof.multipliers)
            left = [i for i in left if i in found]
            continue
        except NotConverged:
            pool = _pool(system, rest, design, bounds)
            if system.solve(rest, pool, ROUNDS)[0] >= SLACK:
                continue
        needed.append(tried)
    return np.sort(np.array(needed, int))


def _concerned(rows: sp.csr_array) -> np.ndarray:
    """Return the positions of the records that contribute to some targets."""
    contributes = np.zeros(rows.shape[1], bool)
    contributes[rows.indices] = True
    return np.flatnonzero(contributes)


def _alike_together(
    system: Elastic, constraints: Constraints, rows: np.ndarray
) -> tuple[Elastic, np.ndarray]:
    """Return the system with one column for all records that contribute the same to some targets.

    With the same bounds of their ratios they can share one ratio. Also returns the columns' positions.
    """
    concerned = _concerned(constraints.matrix[rows])
    own = sp.csr_array(constraints.matrix[rows][:, concerned])
    mark = np.random.default_rng(0).uniform(1, 2, len(rows))
    _, group = np.unique(own.T @ mark, return_inverse=True)
    count = int(group.max()) + 1
    members = sp.csr_array((np.ones(len(group)), (np.arange(len(group)), group)))
    together = sp.csr_array(system.matrix[:, concerned] @ members)
    assert system.upper is not None
    upper = np.full(count, system.upper[0])
    none = np.zeros(count)
    return replace(system, matrix=together, upper=upper, lower=none, unit=none), np.arange(count)


def _pool(
    system: Elastic, rows: np.ndarray, design: np.ndarray, bounds: Bounds | None
) -> np.ndarray:
    """Return the positions of the records in the first programme over some targets.

    With bounds these are all records that contribute to the targets, because an optimum uses most of
    them.
    """
    A = system.matrix[rows]
    concerned = _concerned(A)
    if bounds is not None:
        return concerned
    return concerned[_first_pool(A[:, concerned], design[concerned])]


def _least_misses(
    constraints: Constraints, design: np.ndarray, bounds: Bounds | None, precision: Precision
) -> np.ndarray:
    """Return the relative misses (m,) of targets or their limits, with about the least sum of squares."""
    size = constraints.sizes(design)
    distance = ChiSquare(*(bounds or (0.0, np.inf)), max_step=np.inf)
    misses, start, before = np.zeros(len(size)), None, SOFT[0]
    for share in SOFT:  # each starts from the solution of the larger one
        if start is not None:
            start = start * (before / share) ** 2
        try:
            soft = solve_dual(
                constraints, design, distance, NEWTON_STEPS,
                precision=replace(precision, standard_errors=share * size), start=start,
            )  # fmt: skip
        except NotConverged:
            break
        off = constraints.matrix @ soft.weights - constraints.values
        misses = np.maximum(np.maximum(off - precision.above, -off - precision.below), 0) / size
        start, before = soft.multipliers, share
    return misses


def _conflict(
    constraints: Constraints, system: Elastic, rows: np.ndarray, pool: np.ndarray, max_iter: int,
    bounds: Bounds | None, precision: Precision,
) -> InfeasibleTargets:  # fmt: skip
    """Drop targets while the rest still conflict; return an error that describes the remaining ones."""
    position = 0
    while position < len(rows):
        rest = np.delete(rows, position)
        if len(rest) and system.solve(rest, pool, max_iter)[0] >= SLACK:
            rows = rest
        else:
            position += 1
    return _named(constraints, system, rows, pool, max_iter, bounds, precision)


def _named(
    constraints: Constraints, system: Elastic, rows: np.ndarray, pool: np.ndarray, max_iter: int,
    bounds: Bounds | None, precision: Precision,
) -> InfeasibleTargets:  # fmt: skip
    """Return an error that names a smallest set of conflicting targets, and what each would have to be."""
    names, lines = list(dict.fromkeys(constraints.names[i] for i in rows)), []
    for k, i in enumerate(rows[:SHOWN]):
        price = np.where(np.arange(len(rows)) == k, 1.0, OTHERS)
        *_, slack = system.solve(rows, pool, max_iter, price)
        line = f"{constraints.names[i]}{_asked(constraints, precision, int(i))}"
        if not constraints.ratios[i] and abs(slack[k]) > SLACK:
            nearest = precision.above[i] if slack[k] < 0 else -precision.below[i]
            possible = constraints.values[i] + nearest - slack[k] * system.size[i]
            line += f" (it would have to be {possible:,.10g})"
        lines.append(line)
    more = f", and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    which = (
        "no non-negative weights meet"
        if bounds is None
        else f"no weights between {bounds[0]:g} and {bounds[1]:g} times the design weights meet"
    )
    together = "cannot hold" if len(rows) == 1 else "cannot hold together"
    advice = "Correct or drop one of them" + (", or widen the bounds" if bounds else "")
    return InfeasibleTargets(
        f"{which} these targets, which {together} on these records: {', '.join(lines)}{more}. {advice}",
        names,
    )


def _asked(constraints: Constraints, precision: Precision, i: int) -> str:
    """Say what a target asks for, e.g. " = 50" or " within 45 to 55"."""
    value = float((constraints.values if constraints.asked is None else constraints.asked)[i])
    if not precision.within[i]:
        return f" = {value:,.10g}"
    if constraints.ratios[i]:
        return f" within its limits around {value:,.10g}"
    low, high = value - precision.below[i], value + precision.above[i]
    if not np.isfinite(low):
        return f" at most {high:,.10g}"
    return (
        f" within {low:,.10g} to {high:,.10g}" if np.isfinite(high) else f" at least {low:,.10g}"
    )


def _first_pool(A: sp.csr_array, design: np.ndarray) -> np.ndarray:
    """Return positions of records spread over the file by weight, and of a few per target."""
    m, n = A.shape
    size = min(n, 6 * m)
    share = np.cumsum(design) / design.sum()
    spread = np.searchsorted(share, (np.arange(size) + 0.5) / size).clip(max=n - 1)
    carriers = []
    for i in range(m):
        columns = A.indices[A.indptr[i] : A.indptr[i + 1]]
        carriers.append(columns[:: max(1, len(columns) // 4)][:5])
    return np.unique(np.concatenate([spread, *carriers]))
