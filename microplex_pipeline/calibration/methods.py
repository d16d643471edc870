"""The methods of the Reweighter: what each solves, with which options, by which solver.

A new solver is one file in `solvers` and one row in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain, combinations

import numpy as np

from microplex_pipeline.calibration.solvers.cvxpy_backend import solve_cvxpy
from microplex_pipeline.calibration.solvers.distances import ChiSquare, LeastSquares, Logit, Raking
from microplex_pipeline.calibration.solvers.dual_newton import Solution, solve_dual
from microplex_pipeline.calibration.solvers.dual_problem import Distance
from microplex_pipeline.calibration.solvers.record_budget import solve_budget
from microplex_pipeline.calibration.solvers.reweighted_l1 import solve_within
from microplex_pipeline.calibration.solvers.vertex import solve_vertex
from microplex_pipeline.calibration.targets.constraints import Constraints
from microplex_pipeline.calibration.targets.precision import Precision

Bounds = tuple[float, float]
OPTIONS = ("bounds", "soft", "n_records")  # options that only some methods have
QUICK_STEPS = (
    60  # Newton steps after which it pays to ask whether the targets contradict each other
)


@dataclass(frozen=True)
class Task:
    """What a method solves.

    Attributes
    ----------
    constraints : m targets on n records or households.
    design : (n,) positive design weights.
    precision : how precisely each row is met, in its units.
    bounds : lowest and highest ratio of weight to design weight, or None.
    n_records : number of records to keep, or None.
    max_iter : largest number of iterations.
    seed : of random draws.
    start : (m,) multipliers to start from, those of a similar problem, or None.
    """

    constraints: Constraints
    design: np.ndarray
    precision: Precision
    bounds: Bounds | None
    n_records: int | None
    max_iter: int
    seed: int
    start: np.ndarray | None = None


@dataclass(frozen=True)
class Method:
    """One way to find weights.

    Attributes
    ----------
    parameter, name : what selects it, e.g. distance="raking".
    backend : "scipy" or "cvxpy".
    solve : returns the weights; raises InfeasibleTargets or NotConverged.
    needs : options that must be given.
    allows : options that may be given besides.
    unbounded_above : whether the upper bound may be infinite.
    quick_steps : iterations after which to look for conflicting targets before going on, or None.
    distance : the distance from design weights under given bounds, if the dual is solved.
    interior : solves the same problem by an interior-point method, if `solve` does not get there, or None.
    """

    parameter: str
    name: str
    backend: str
    solve: Callable[[Task], Solution]
    needs: frozenset[str] = frozenset()
    allows: frozenset[str] = frozenset()
    unbounded_above: bool = False
    quick_steps: int | None = None
    distance: Callable[[Bounds | None], Distance] | None = None
    interior: Callable[[Task], Solution] | None = None

    @property
    def label(self) -> str:
        """How it is asked for, e.g. "distance='raking'"."""
        return f"{self.parameter}={self.name!r}"

    def takes(self, options: frozenset[str]) -> bool:
        """Return whether it works with exactly these options."""
        return self.needs <= options <= self.needs | self.allows


def find_method(parameter: str, name: str, backend: str, options: Iterable[str]) -> Method:
    """Return the method that solves what was asked for.

    Parameters
    ----------
    options : those of `OPTIONS` that were given.

    Raises
    ------
    ValueError
        If no method takes these options, naming what goes with what.
    """
    given = frozenset(options)
    rows = [m for m in METHODS if (m.parameter, m.name, m.backend) == (parameter, name, backend)]
    for method in rows:
        if method.takes(given):
            return method
    raise ValueError(_refusal(f"{parameter}={name!r}", backend, rows, given))


def names_of(parameter: str) -> list[str]:
    """Return the names of all methods that a parameter selects, in the order of the table."""
    return list(dict.fromkeys(m.name for m in METHODS if m.parameter == parameter))


def _refusal(label: str, backend: str, rows: list[Method], given: frozenset[str]) -> str:
    """Say which options go with a method, and which methods go with the other options."""
    if not rows:
        backends = dict.fromkeys(m.backend for m in METHODS if m.label == label)
        choices = " or ".join(f"backend={name!r}" for name in backends)
        return f"{label} has no solver with backend={backend!r}; choose {choices}"
    all_sets = chain.from_iterable(combinations(OPTIONS, k) for k in range(len(OPTIONS) + 1))
    possible = [s for s in all_sets if any(m.takes(frozenset(s)) for m in rows)]
    message = (
        f"{label} with backend={backend!r} was given {_and(o for o in OPTIONS if o in given)}; "
        f"it goes with {', or '.join(_and(s) for s in possible)}"
    )
    for option in OPTIONS:
        if option in given and not any(option in s for s in possible):
            having = [m for m in METHODS if option in m.needs | m.allows]
            here = [m.label for m in having if m.backend == backend]
            elsewhere = [f"{m.label} and backend={m.backend!r}" for m in having]
            choices = " or ".join(dict.fromkeys(here or elsewhere))
            message += f". To use {option}, choose {choices}"
    return message


def _and(options: Iterable[str]) -> str:
    return " and ".join(options) or "no options"


def _dual(
    parameter: str,
    name: str,
    distance: Callable[[Bounds | None], Distance],
    needs: frozenset[str] = frozenset(),
    allows: frozenset[str] = frozenset({"soft"}),
    unbounded_above: bool = False,
) -> Method:
    """Return a method that minimises a distance by Newton's method on the dual."""

    def solve(task: Task) -> Solution:
        return solve_dual(
            task.constraints, task.design, distance(task.bounds), task.max_iter,
            precision=_inside(task), start=task.start,
        )  # fmt: skip

    return Method(
        parameter, name, "scipy", solve, needs, allows, unbounded_above, QUICK_STEPS, distance,
        partial(_cvxpy, name),
    )  # fmt: skip


def _cvxpy(name: str, task: Task) -> Solution:
    return Solution(solve_cvxpy(task.constraints, task.design, name, task.bounds, _inside(task)))


def _inside(task: Task) -> Precision:
    """Return the precision with limits that rounding does not exceed."""
    return task.precision.narrowed(task.constraints.sizes(task.design))


def _vertex(task: Task) -> Solution:
    return Solution(solve_vertex(task.constraints, task.design, task.max_iter))


def _least_total(task: Task) -> Solution:
    cost = np.ones(len(task.design))
    return Solution(solve_vertex(task.constraints, task.design, task.max_iter, cost))


def _within(task: Task) -> Solution:
    return Solution(
        solve_within(task.constraints, task.design, task.precision, task.max_iter, task.seed)
    )


def _budget(task: Task) -> Solution:
    assert task.n_records is not None
    return Solution(
        solve_budget(task.constraints, task.design, task.n_records, task.max_iter, task.seed)
    )


def _chi2(bounds: Bounds | None) -> Distance:
    return ChiSquare(*(bounds or (0.0, np.inf)))


def _logit(bounds: Bounds | None) -> Distance:
    assert bounds is not None
    return Logit(*bounds)


_BOUNDS, _SOFT, _BUDGET = (frozenset({option}) for option in OPTIONS)

METHODS: tuple[Method, ...] = (
    Method("sparsity", "l0", "scipy", _vertex),
    Method("sparsity", "l0", "scipy", _within, needs=_SOFT),
    Method("sparsity", "l0", "scipy", _budget, needs=_BUDGET),
    Method("sparsity", "l1", "scipy", _least_total),
    _dual("sparsity", "l2", lambda bounds: LeastSquares()),
    _dual("distance", "chi2", _chi2, allows=_SOFT | _BOUNDS, unbounded_above=True),
    _dual("distance", "raking", lambda bounds: Raking()),
    _dual("distance", "logit", _logit, needs=_BOUNDS),
    Method("sparsity", "l0", "cvxpy", partial(_cvxpy, "l0")),
    Method("sparsity", "l1", "cvxpy", partial(_cvxpy, "l1")),
    Method("sparsity", "l2", "cvxpy", partial(_cvxpy, "l2"), allows=_SOFT),
    Method("distance", "chi2", "cvxpy", partial(_cvxpy, "chi2"), allows=_SOFT | _BOUNDS,
           unbounded_above=True),
    Method("distance", "raking", "cvxpy", partial(_cvxpy, "raking"), allows=_SOFT),
    Method("distance", "logit", "cvxpy", partial(_cvxpy, "logit"), needs=_BOUNDS, allows=_SOFT),
)  # fmt: skip
