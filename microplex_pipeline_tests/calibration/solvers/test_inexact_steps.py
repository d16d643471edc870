"""Systems that are too large to factor: conjugate gradients find the same weights."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from microplex_pipeline.calibration import Constraints
from microplex_pipeline.calibration.solvers import dual_problem
from microplex_pipeline.calibration.solvers.distances import ChiSquare, Logit, Raking
from microplex_pipeline.calibration.solvers.dual_newton import solve_dual
from microplex_pipeline.calibration.targets.precision import Precision

DISTANCES = [Raking(), ChiSquare(), ChiSquare(0.3, 3.0), Logit(0.3, 3.0)]


def surface(seed, areas=40, groups=6, n=3000):
    """Counts and amounts of areas, of groups of areas, and of all."""
    rng = np.random.default_rng(seed)
    area = rng.integers(0, areas, n)
    kind, amount = rng.integers(0, 5, n), rng.lognormal(8, 1, n) * (rng.random(n) < 0.6)
    blocks = []
    for code, count in ((area * 5 + kind, areas * 5), (area % groups, groups), (kind, 5)):
        rows = sp.csr_array((np.ones(n), (code, np.arange(n))), (count, n))
        blocks += [rows, sp.csr_array(rows @ sp.diags_array(amount))]
    matrix = sp.csr_array(sp.vstack(blocks))
    matrix = sp.csr_array(matrix[np.flatnonzero(np.diff(matrix.indptr))])
    design = rng.uniform(50, 150, n)
    values = matrix @ (design * np.exp(rng.normal(0, 0.2, n)))
    return Constraints(matrix, values, [f"t{i}" for i in range(len(values))]), design


@pytest.fixture
def without_factors(monkeypatch):
    monkeypatch.setattr(dual_problem, "DIRECT_UP_TO", -1)


@pytest.mark.parametrize("distance", DISTANCES, ids=str)
@pytest.mark.parametrize("kind", ["exact", "within", "penalized"])
def test_the_weights_are_those_of_exact_steps(distance, kind, monkeypatch):
    constraints, design = surface(1)
    precision = Precision.exact(len(constraints.values))
    size = constraints.sizes(design)
    if kind == "within":
        precision = precision.with_tolerance(0.02 * size)
    elif kind == "penalized":
        precision = replace(precision, standard_errors=0.02 * size)
    direct = solve_dual(constraints, design, distance, 100, precision=precision)
    monkeypatch.setattr(dual_problem, "DIRECT_UP_TO", -1)
    inexact = solve_dual(constraints, design, distance, 100, precision=precision)
    np.testing.assert_allclose(inexact.weights, direct.weights, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("without_factors")
def test_redundant_targets_do_no_harm():
    constraints, design = surface(2)
    matrix = sp.csr_array(sp.vstack([constraints.matrix] * 2))
    twice = Constraints(matrix, np.tile(constraints.values, 2), constraints.names * 2)
    weights = solve_dual(twice, design, Raking(), 100).weights
    np.testing.assert_allclose(
        weights, solve_dual(constraints, design, Raking(), 100).weights, rtol=1e-6
    )
    np.testing.assert_allclose(matrix @ weights, twice.values, rtol=1e-9)


def test_a_factor_that_fills_up_is_computed_once(monkeypatch):
    rng = np.random.default_rng(0)
    n, k = 20_000, 1000
    codes = rng.integers(0, k, (2, n)) + np.array([[0], [k]])
    matrix = sp.csr_array((np.ones(2 * n), (codes.ravel(), np.tile(np.arange(n), 2))), (2 * k, n))
    design = rng.uniform(50, 150, n)
    values = matrix @ (design * np.exp(rng.normal(0, 0.3, n)))
    factors = []
    step = dual_problem._newton_step

    def counted(*arguments):
        factors.append(1)
        return step(*arguments)

    monkeypatch.setattr(dual_problem, "_newton_step", counted)
    constraints = Constraints(matrix, values, [f"t{i}" for i in range(2 * k)])
    weights = solve_dual(constraints, design, Raking(), 100).weights
    np.testing.assert_allclose(matrix @ weights, values, rtol=1e-9)
    assert len(factors) == 1
