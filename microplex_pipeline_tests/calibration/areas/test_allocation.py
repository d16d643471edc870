import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex_pipeline.calibration.areas.allocation import (
    AllocationFailed,
    AllocationProblem,
    fit_allocation,
)
from microplex_pipeline.calibration.solvers.distances import Raking
from microplex_pipeline.calibration.solvers.dual_newton import solve_dual
from microplex_pipeline.calibration.targets.constraints import Constraints

CASES = st.tuples(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 4), st.integers(1, 9))


def random_problem(seed, n, K, A, soft=False):
    """Targets that some positive weights meet."""
    rng = np.random.default_rng(seed)
    types = rng.integers(0, 4, (n, K)) * rng.choice([1.0, 1000.0], K)
    weights = rng.uniform(0.1, 10, (n, A)) * rng.uniform(0.1, 10, A)
    values = weights.T @ types
    variances = rng.uniform(0.1, 2, (A, K)) * types.max(axis=0) ** 2 + 0.1 if soft else None
    return AllocationProblem(
        types, weights.sum(axis=1), values, np.maximum(values[:, 0], 1), variances
    )


def allocated(problem):
    return np.stack(list(fit_allocation(problem).areas()), axis=1) * problem.totals[:, None]


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_feasible_targets_are_met_and_records_keep_their_weight(case):
    problem = random_problem(*case)
    W = allocated(problem)
    error = (W.T @ problem.types - problem.values) / np.maximum(np.abs(problem.values), 1)
    assert np.abs(error).max() < 1e-9
    np.testing.assert_allclose(W.sum(axis=1), problem.totals, rtol=1e-12)
    assert W.min() >= 0


@settings(max_examples=20, deadline=None)
@given(CASES, st.booleans())
def test_the_order_of_areas_does_not_matter(case, soft):
    problem = random_problem(*case, soft=soft)
    order = np.random.default_rng(1).permutation(len(problem.shares))
    variances = problem.variances[order] if soft else None
    other = AllocationProblem(
        problem.types, problem.totals, problem.values[order], problem.shares[order], variances
    )
    np.testing.assert_allclose(
        allocated(other), allocated(problem)[:, order], rtol=1e-6, atol=1e-9
    )


def test_it_agrees_with_raking_of_all_pairs():
    """Raking of records x areas at once, with the records' sums as further constraints."""
    problem = random_problem(3, 10, 3, 4)
    n, A = len(problem.types), len(problem.shares)
    sums = sp.kron(sp.eye_array(n), np.ones((1, A)))
    totals = [sp.kron(problem.types[:, [k]].T, np.eye(A)[[a]]) for a in range(A) for k in range(3)]
    constraints = Constraints(
        sp.csr_array(sp.vstack([sums, *totals])),
        np.concatenate([problem.totals, problem.values.ravel()]),
        ["row"] * (n + 3 * A),
    )
    design = np.outer(problem.totals, problem.shares / problem.shares.sum()).ravel()
    weights = solve_dual(constraints, design, Raking(), 100).weights
    np.testing.assert_allclose(allocated(problem).ravel(), weights, rtol=1e-8)


def test_with_variances_the_penalty_balances_the_misses():
    """At the minimum each target's miss is minus its variance times its multiplier."""
    problem = random_problem(5, 30, 3, 6, soft=True)
    moved = AllocationProblem(
        problem.types, problem.totals, problem.values * 1.3, problem.shares, problem.variances
    )
    solution = fit_allocation(moved)
    W = np.stack(list(solution.areas()), axis=1) * problem.totals[:, None]
    miss = W.T @ problem.types - moved.values
    np.testing.assert_allclose(miss, -moved.variances * solution.multipliers, atol=1e-7)
    assert np.abs(miss).max() > 1


def test_a_count_of_zero_excludes_its_records():
    types = np.array([[1.0, 0.0], [1.0, 1.0], [2.0, 1.0]])
    values = np.array([[40.0, 0.0], [60.0, 30.0]])
    W = allocated(AllocationProblem(types, np.array([50.0, 10.0, 20.0]), values, values[:, 0]))
    assert (W[1:, 0] == 0).all()
    np.testing.assert_allclose(W.T @ types, values, rtol=1e-10)


def test_targets_beyond_reach_are_refused():
    types = np.array([[1.0, 0.0], [1.0, 1.0]])
    values = np.array(
        [[10.0, 11.0], [90.0, 39.0]]
    )  # the totals agree, but the first area cannot meet both
    problem = AllocationProblem(types, np.array([50.0, 50.0]), values, values[:, 0])
    with pytest.raises(AllocationFailed) as failure:
        fit_allocation(problem)
    assert np.abs(failure.value.allocation.errors).max() > 1e-3


def test_chunks_do_not_change_the_weights(monkeypatch):
    problem = random_problem(8, 40, 3, 50)
    whole = allocated(problem)
    monkeypatch.setattr("microplex_pipeline.calibration.areas.allocation.CHUNK", 64)
    np.testing.assert_allclose(allocated(problem), whole, rtol=1e-9)
