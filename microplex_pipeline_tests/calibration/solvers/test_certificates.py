"""Contradictions within bounds: proven by multipliers, and named by a smallest set."""

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from microplex_pipeline import InfeasibleTargets, Reweighter
from microplex_pipeline.calibration import Constraints
from microplex_pipeline.calibration.solvers.certificates import (
    Contradiction,
    asked_beyond_possible,
    heaviest_rows,
)
from microplex_pipeline.calibration.solvers.distances import ChiSquare, Logit
from microplex_pipeline.calibration.solvers.dual_newton import solve_dual

BOUNDS = (0.5, 2.0)


def system(seed, conflict):
    """Targets that weights within the bounds meet; in a conflict the first two ask for too much together."""
    rng = np.random.default_rng(seed)
    n, m = 400, 30
    rows = (rng.random((m, n)) < 0.3) * rng.lognormal(0, 1, (m, n))
    rows[1] = rows[0] * rng.uniform(0.9, 1.1, n)
    design = rng.uniform(1, 5, n)
    values = rows @ (design * rng.uniform(0.7, 1.5, n))
    if conflict:
        values[0], values[1] = 1.6 * rows[0] @ design, 0.7 * rows[1] @ design
    names = [f"t{i}" for i in range(m)]
    return Constraints(sp.csr_array(rows), values, names), design


@pytest.mark.parametrize("distance", [ChiSquare(*BOUNDS), Logit(*BOUNDS)], ids=type)
@pytest.mark.parametrize("seed", range(5))
def test_multipliers_of_a_contradiction_prove_it(seed, distance):
    constraints, design = system(seed, conflict=True)
    with pytest.raises(Contradiction) as caught:
        solve_dual(constraints, design, distance, 60)
    proof, A, b = caught.value.multipliers, constraints.matrix, constraints.values
    # no weights within the bounds give the weighted sum of the targets that is asked for
    u = A.T @ proof
    assert proof @ b > design @ np.maximum(BOUNDS[0] * u, BOUNDS[1] * u)
    rows = heaviest_rows(A, proof, b, b, design, BOUNDS)
    assert {0, 1} <= set(rows.tolist())
    part = A[rows].T @ proof[rows]
    assert asked_beyond_possible(part, proof[rows], b[rows], b[rows], design, *BOUNDS) > 0


@pytest.mark.parametrize("distance", [ChiSquare(*BOUNDS), Logit(*BOUNDS)], ids=type)
@pytest.mark.parametrize("seed", range(5))
def test_what_can_be_met_is_never_proven_impossible(seed, distance):
    constraints, design = system(seed, conflict=False)
    weights = solve_dual(constraints, design, distance, 200).weights
    np.testing.assert_allclose(constraints.matrix @ weights, constraints.values, rtol=1e-9)


def test_thousands_of_margins_that_contradict_each_other_are_named_in_seconds():
    rng = np.random.default_rng(0)
    n, k = 20_000, 400
    data = pl.DataFrame(
        {"a": rng.integers(0, k, n), "b": rng.integers(0, k, n), "weight": rng.uniform(50, 150, n)}
    )
    margins = {
        name: dict(data.group_by(name).agg(pl.col("weight").sum()).iter_rows()) for name in "ab"
    }
    first = data.filter(a=0)
    margins["a"][0] *= 12
    with pytest.raises(InfeasibleTargets) as caught:
        Reweighter(distance="logit", bounds=(0.1, 10), margins="rescale").fit(data, margins)
    assert len(caught.value.targets) == 1
    assert "a=0" in caught.value.targets[0]
    most = 10 * float(first["weight"].sum())
    assert f"it would have to be {most:,.10g}"[:30] in str(caught.value)
