"""The report of a fit: every target, what was achieved, and a warning of large misses."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import InfeasibleTargets, Reweighter, Targets
from microplex_pipeline.calibration import CalibrationError, MissedTargets, NotConverged, methods
from microplex_pipeline.calibration.methods import find_method
from microplex_pipeline_tests.calibration.targets.target_table import table

DATA = pl.DataFrame(
    {
        "g": ["a"] * 30 + ["b"] * 70,
        "x": [float(k % 17) for k in range(100)],
        "weight": [10.0] * 100,
    }
)
ROWS = [
    ("r", "count", "n", "g:a", 400.0),
    ("r", "count", "n", "g:b", 500.0),
    ("r", "mean", "x", "all", 9.0),
]


def fitted(distance="raking", rows=ROWS, **precision):
    columns = {name: pl.Series(values, dtype=pl.Float64) for name, values in precision.items()}
    return Reweighter(distance=distance, soft=bool(precision)).fit(DATA, table(rows, **columns))


def test_every_target_is_reported_with_its_kind():
    report = fitted(standard_error=[None, 20.0, None], tolerance=[0.1, None, None]).report_
    assert report.columns == ["target", "value", "achieved", "error", "z", "multiplier", "kind"]
    assert report["kind"].to_list() == ["within", "penalized", "exact"]
    assert report["value"].to_list() == [400, 500, 9]
    np.testing.assert_allclose(report["error"], report["achieved"] - report["value"], atol=1e-9)
    assert report["z"].is_null().to_list() == [True, False, True]
    assert report["z"][1] == pytest.approx(report["error"][1] / 20)
    assert report["achieved"][0] == pytest.approx(360, abs=1e-3)  # at the nearer limit
    assert report["multiplier"][0] > 0  # which holds it up


def test_the_multiplier_is_zero_inside_the_limits():
    report = fitted(rows=ROWS[:1], at_least=[250.0], at_most=[500.0]).report_
    assert report["achieved"].to_list() == pytest.approx([300])
    assert report["multiplier"].to_list() == [0.0]


def test_multipliers_are_those_of_raking():
    found = fitted()
    rows = found.constraints_.matrix.toarray()
    np.testing.assert_allclose(
        np.log(found.weights_ / 10), rows.T @ found.report_["multiplier"].to_numpy(), atol=1e-9
    )


@pytest.mark.parametrize("limits", [{"at_least": 8.5}, {"at_most": 7.5}, {"tolerance": 0.05}])
@pytest.mark.parametrize("distance", ["raking", "chi2"])
def test_limits_of_a_mean_hold_with_its_final_denominator(limits, distance):
    rows = [ROWS[0], ("r", "mean", "x", "g:a", 9.5 if "at_least" in limits else 7.0)]
    both = {name: [None, value] for name, value in limits.items()}
    report = fitted(distance, rows, **both).report_
    low = limits.get("at_least", 7.0 * 0.95 if "tolerance" in limits else -np.inf)
    high = limits.get("at_most", 7.0 * 1.05 if "tolerance" in limits else np.inf)
    assert low <= report["achieved"][1] <= high
    assert report["achieved"][0] == pytest.approx(400)
    exact = fitted(distance, [ROWS[0], (*rows[1][:4], report["achieved"][1])])
    assert exact.report_["achieved"].to_list() == pytest.approx(report["achieved"].to_list())


def test_importance_decides_between_two_that_contradict_each_other():
    rows = [("r", "count", "n", "all", 900.0), ("r", "count", "n", "g:a|x:0+", 300.0),
            ("r", "count", "n", "g:b", 700.0)]  # fmt: skip
    errors = [1.0, 1.0, 1.0]

    def missed(*importance):
        found = fitted(rows=rows, standard_error=errors, importance=importance)
        return found.report_["error"].abs().to_list()

    with pytest.warns(MissedTargets, match="missed by more than 2 of their standard errors"):
        even, first = missed(1.0, 1.0, 1.0), missed(100.0, 1.0, 1.0)
    assert first[0] < 0.1 * even[0]
    assert first[1] > 1.2 * even[1]


def test_what_pulls_far_is_warned_of_by_name():
    with pytest.warns(MissedTargets, match=r"standard errors: r count n \[g:b\] \(-\d"):
        fitted(rows=[*ROWS[:2], ("r", "count", "n", "all", 750.0)],
               standard_error=[5.0, 30.0, None])  # fmt: skip


def test_a_limit_that_cannot_be_kept_is_named_with_it():
    rows = [("r", "count", "n", "all", 1000.0), ("r", "count", "n", "g:a", 1200.0)]
    with pytest.raises(
        InfeasibleTargets, match=r"\[g:a\] at least 1,100 \(it would have to be 1,000\)"
    ):
        fitted(rows=rows, at_least=[None, 1100.0])


def test_means_out_of_reach_are_refused_only_if_they_must_be_exact():
    rows = [ROWS[0], ("r", "mean", "x", "all", 40.0)]
    with pytest.raises(InfeasibleTargets, match="all of its records are below it"):
        fitted(rows=rows)
    with pytest.warns(MissedTargets, match="mean x"):
        found = fitted(rows=rows, standard_error=[None, 1.0])
    assert 8 < found.report_["achieved"][1] <= 16


def test_whole_weights_are_reported_as_they_are():
    found = Reweighter(distance="raking", integer=True).fit(DATA, Targets(table(ROWS[:2]).table))
    assert found.report_["achieved"].to_list() == [400, 500]


@pytest.mark.parametrize("distance", ["raking", "chi2"])
def test_the_limits_of_a_mean_are_not_kept_by_emptying_its_domain(distance):
    data = DATA.with_columns(x=pl.when(pl.col("g") == "a").then(6.0).otherwise(pl.col("x")))
    rows = [("r", "mean", "x", "g:a", 5.0), ("r", "count", "n", "all", 1000.0)]
    soft = table(rows, tolerance=pl.Series([0.1, None], dtype=pl.Float64))
    with pytest.raises(CalibrationError, match=r"mean x \[g:a\]"):
        Reweighter(distance=distance, soft=True).fit(data, soft)


def test_whole_weights_that_leave_limits_are_warned_of():
    data = pl.DataFrame({"x": [3.0, 5.0, 7.0, 4.0], "weight": [1.4, 1.6, 1.5, 1.5]})
    soft = table([("r", "sum", "x", "all", 28.5)], at_least=pl.lit(28.4), at_most=pl.lit(28.6))
    with pytest.warns(
        UserWarning, match=r"whole weights do not keep the limits of: r sum x \[all\]"
    ):
        Reweighter(distance="raking", soft=True, integer=True).fit(data, soft)


def test_the_repr_says_if_the_interior_point_solver_took_over(monkeypatch):
    def lost(task):
        raise NotConverged("lost")

    usual = fitted("chi2")
    assert "distance='chi2' by scipy" in repr(usual)
    method = replace(find_method("distance", "chi2", "scipy", []), solve=lost)
    monkeypatch.setattr(methods, "METHODS", (method,))
    found = fitted("chi2")
    assert "distance='chi2' by Clarabel" in repr(found)
    assert found.report_["multiplier"].is_null().all()
    np.testing.assert_allclose(found.weights_, usual.weights_, rtol=1e-6)
