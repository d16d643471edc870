"""Tolerances, budgets and conflicts: which targets are met, missed or named."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from microplex_pipeline import InfeasibleTargets, Reweighter
from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline.calibration.solvers.recombination import recombined
from microplex_pipeline_tests.calibration.targets.target_table import table


def test_soft_targets_agree_with_a_generic_minimiser():
    data = pl.DataFrame({"g": ["a", "a", "b"], "weight": [1.0, 2.0, 3.0]})
    soft = table(
        [("r", "count", "n", "g:a", 6.0), ("r", "count", "n", "g:b", 2.0)],
        standard_error=pl.Series([0.5, 1.0]),
    )
    weights = Reweighter(distance="raking", soft=True).fit(data, soft, "weight").weights_
    d, A, b, sigma = np.array([1.0, 2, 3]), np.array([[1, 1, 0], [0, 0, 1]]), [6, 2], [0.5, 1.0]

    def loss(log_ratio):
        w = d * np.exp(log_ratio)
        distance = (w * log_ratio - w + d).sum() / d.mean()
        return distance + 0.5 * (((A @ w - b) / sigma) ** 2).sum()

    best = d * np.exp(minimize(loss, np.zeros(3), tol=1e-12).x)
    np.testing.assert_allclose(weights, best, rtol=1e-5)


@pytest.mark.parametrize("method", [{"distance": "chi2"}, {"distance": "raking"},
                                    {"distance": "logit", "bounds": (0.2, 4.0)}])  # fmt: skip
def test_soft_backends_agree(units, goals, method):
    soft = table(goals, relative_standard_error=pl.Series([0.01] * len(goals)))
    ours, theirs = (
        Reweighter(backend=b, soft=True, **method).fit(units, soft, "weight").weights_
        for b in ("scipy", "cvxpy")
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_targets_without_tolerance_stay_exact(units, goals):
    contradiction = [*goals, ("unit", "sum", "ssi", "n_persons:1+", goals[5][4] * 1.5)]
    errors = pl.Series([None] * len(goals) + [goals[5][4] * 0.1], dtype=pl.Float64)
    soft = table(contradiction, standard_error=errors)
    with pytest.raises(InfeasibleTargets):
        Reweighter(distance="raking").fit(units, soft, "weight")
    fitted = Reweighter(distance="raking", soft=True).fit(units, soft, "weight")
    missed = np.abs(fitted.constraints_.relative_errors(fitted.weights_))
    assert missed[:-1].max() < 1e-10
    assert missed[-1] == pytest.approx(1 / 3, rel=1e-6)  # the exact target wins


def test_observations_decide_between_the_records_and_soft_targets():
    data = pl.DataFrame({"old": [True] * 20 + [False] * 80, "weight": [10.0] * 100})
    soft = table(
        [("record", "count", "rows", "old:true", 300.0)], standard_error=pl.Series([40.0])
    )

    def old(**options):
        fitted = Reweighter(distance="chi2", soft=True, **options).fit(data, soft, "weight")
        return fitted.weights_[:20].sum()

    # generalized least squares: the records' own variance, by their weights, beside the target's
    def expected(observations):
        own = 10 * 200 * 100 / observations
        return (200 / own + 300 / 40**2) / (1 / own + 1 / 40**2)

    assert old() == pytest.approx(expected(100), rel=1e-8)
    assert old(observations=100) == old()
    assert old(observations=25) == pytest.approx(expected(25), rel=1e-8)
    assert old(observations=25) > old() + 20
    for wrong in ({"distance": None, "sparsity": "l0"}, {"soft": False}):
        with pytest.raises(ValueError, match="observations go with a distance and soft targets"):
            Reweighter(**({"distance": "chi2", "soft": 0.1, "observations": 9} | wrong))
    with pytest.raises(ValueError, match="observations must be a number above 0, not 0"):
        Reweighter(distance="chi2", soft=True, observations=0)


def test_soft_needs_tolerances(units, goals):
    with pytest.raises(
        CalibrationError, match="soft=True needs targets with a column standard_error"
    ):
        Reweighter(distance="raking", soft=True).fit(units, table(goals), "weight")
    fitted = Reweighter(distance="raking", soft=0.02).fit(units, table(goals), "weight")
    missed = np.abs(fitted.constraints_.relative_errors(fitted.weights_))
    assert 1e-8 < missed.max() < 0.02 + 1e-9


@pytest.mark.parametrize("bad", [-1.0, float("inf")])
def test_bad_tolerances_are_named(goals, bad):
    with pytest.raises(
        CalibrationError, match=r"negative or infinite tolerance: unit count units"
    ):
        table(goals, tolerance=pl.Series([bad] + [0.1] * (len(goals) - 1)))


def test_a_budget_is_kept_and_every_target_is_met(units, goals):
    vertex = Reweighter(sparsity="l0").fit(units, table(goals), "weight")
    assert vertex.get_sparsity_stats()["n_nonzero"] <= len(goals)
    budget = Reweighter(sparsity="l0", n_records=200).fit(units, table(goals), "weight")
    assert 150 <= budget.get_sparsity_stats()["n_nonzero"] <= 200
    assert np.abs(budget.constraints_.relative_errors(budget.weights_)).max() < 1e-10

    def unevenness(fitted):
        w = fitted.weights_[fitted.weights_ > 0]
        return len(w) * (w**2).sum() / w.sum() ** 2

    assert unevenness(budget) < 0.8 * unevenness(vertex)
    again = Reweighter(sparsity="l0", n_records=200).fit(units, table(goals), "weight")
    np.testing.assert_array_equal(again.weights_, budget.weights_)
    other = Reweighter(sparsity="l0", n_records=200, seed=1).fit(units, table(goals), "weight")
    assert (other.weights_ != budget.weights_).any()


def test_impossible_budgets_are_refused_with_the_number_needed(units, goals):
    with pytest.raises(
        ValueError, match=r"n_records is 2, but it must be at least \d to meet the targets"
    ):
        Reweighter(sparsity="l0", n_records=2).fit(units, table(goals), "weight")
    with pytest.raises(ValueError, match="To use n_records, choose sparsity='l0'"):
        Reweighter(sparsity="l2", n_records=200)


def test_tolerances_allow_fewer_records(units, goals):
    exact = Reweighter(sparsity="l0").fit(units, table(goals), "weight")
    within = Reweighter(sparsity="l0", soft=0.2).fit(units, table(goals), "weight")
    missed = np.abs(within.constraints_.relative_errors(within.weights_))
    assert missed.max() < 0.2 + 1e-6
    assert np.count_nonzero(within.weights_) < np.count_nonzero(exact.weights_)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), groups=st.integers(1, 12))
def test_recombination_keeps_every_sum(seed, groups):
    rng = np.random.default_rng(seed)
    n = 1500
    group = rng.integers(0, groups, n)
    rows = [(group == g) * value for g in range(groups) for value in (1.0, rng.lognormal(0, 2, n))]
    import scipy.sparse as sp

    matrix = sp.csr_array(np.array([*rows, np.ones(n), rng.normal(0, 100, n)]))
    weights = rng.uniform(0, 3, n)
    fewer = recombined(matrix, weights)
    assert fewer.min() >= 0
    np.testing.assert_allclose(matrix @ fewer, matrix @ weights, rtol=1e-9, atol=1e-7)
    assert np.count_nonzero(fewer) <= 3 * groups * 4


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), factor=st.sampled_from([1.5, 3.0, 100.0]))
def test_named_targets_conflict_but_no_part_of_them_does(seed, factor):
    """Cells of two margins and a total of dollars; one target is too large for the others."""
    rng = np.random.default_rng(seed)
    n = 300
    data = pl.DataFrame(
        {
            "a": rng.choice(["x", "y", "z"], n),
            "b": rng.choice(["p", "q"], n),
            "dollars": np.round(rng.lognormal(5, 1, n)),
            "weight": rng.uniform(1, 5, n),
        }
    )
    w = data["weight"].to_numpy()
    rows = [("r", "count", "n", f"a:{c}", float(w @ (data["a"] == c).to_numpy())) for c in "xyz"]
    rows += [("r", "count", "n", f"b:{c}", float(w @ (data["b"] == c).to_numpy())) for c in "pq"]
    rows += [("r", "sum", "dollars", "all", float(w @ data["dollars"].to_numpy()))]
    k = rng.integers(0, 5)
    rows[k] = (*rows[k][:4], rows[k][4] * factor)
    with pytest.raises(InfeasibleTargets) as caught:
        Reweighter(distance="chi2").fit(data, table(rows), "weight")
    named = caught.value.targets
    alone = [row for row, name in zip(rows, table(rows).names, strict=True) if name in named]
    assert len(alone) == len(named) >= 2
    with pytest.raises(InfeasibleTargets):
        Reweighter(distance="chi2").fit(data, table(alone), "weight")
    for i in range(len(alone)):
        rest = alone[:i] + alone[i + 1 :]
        Reweighter(sparsity="l0").fit(data, table(rest), "weight")


def test_the_value_that_a_target_would_need_is_named():
    data = pl.DataFrame({"g": ["a", "a", "b"], "x": [2.0, 4.0, 1.0]})
    rows = [("r", "count", "n", "g:a", 10.0), ("r", "sum", "x", "g:a", 50.0)]
    with pytest.raises(InfeasibleTargets, match=r"sum x \[g:a\] = 50 \(it would have to be 40\)"):
        Reweighter(distance="raking").fit(data, table(rows))
