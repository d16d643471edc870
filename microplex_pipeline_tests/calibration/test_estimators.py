"""Reweighters follow scikit-learn's conventions: parameters, clones, repr, errors before a fit."""

import polars as pl
import pytest
import sklearn.base
import sklearn.exceptions

from microplex_pipeline import GeographicReweighter, Reweighter, Synthesizer, Targets
from microplex_pipeline.calibration import CalibrationError, calibrate_replicates
from microplex_pipeline.calibration.replicate_weights import replicate_standard_error
from microplex_pipeline.estimator import NotFittedError
from microplex_pipeline_tests.calibration.areas.area_rows import rows

PEOPLE = pl.DataFrame({"g": ["a", "a", "b"], "n_persons": [1, 2, 3], "w": [10.0, 30.0, 20.0]})
MARGINS = {"g": {"a": 60, "b": 10}}
AREAS = rows(["01", "02"], [60.0, 70.0])
ESTIMATORS = [
    Reweighter(distance="logit", bounds=(0.1, 9.0), seed=3),
    Reweighter("cvxpy", "l2", soft=0.1),
    GeographicReweighter("pmedm", households_per_area=5, integer=True),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
@pytest.mark.parametrize(
    "clone", [sklearn.base.clone, lambda e: e.clone()], ids=["sklearn", "own"]
)
def test_clones_have_the_same_parameters(estimator, clone):
    copy = clone(estimator)
    assert type(copy) is type(estimator)
    assert copy is not estimator
    assert copy.get_params() == estimator.get_params()


def test_fitted_results_stay_until_the_next_fit():
    options = {"integer": True, "households_per_area": 2}
    areas = GeographicReweighter(**options, seed=1).fit(PEOPLE, AREAS, "w")
    expected = GeographicReweighter(**options, seed=1).fit(PEOPLE, AREAS, "w").area_weights_
    areas.set_params(seed=2, households_per_area=None, integer=False)
    assert areas.area_weights_.equals(expected)
    with pytest.raises(CalibrationError, match="lack the weight column"):
        areas.fit(PEOPLE, AREAS, "v")
    assert areas.area_weights_.equals(expected)


def test_a_clone_is_not_fitted():
    fitted = Reweighter().fit(PEOPLE, MARGINS)
    with pytest.raises(NotFittedError, match="call fit first"):
        sklearn.base.clone(fitted).transform(PEOPLE)
    with pytest.raises(NotFittedError, match="call fit first"):
        Reweighter().get_sparsity_stats()


@pytest.mark.parametrize("estimator", [Reweighter(), GeographicReweighter()], ids=repr)
def test_is_fitted_tells_whether_fit_has_run(estimator):
    assert estimator.is_fitted_ is False
    estimator.fit(PEOPLE, AREAS if isinstance(estimator, GeographicReweighter) else MARGINS, "w")
    assert estimator.is_fitted_ is True
    assert estimator.clone().is_fitted_ is False


def test_the_error_before_a_fit_is_scikit_learns_too():
    with pytest.raises(sklearn.exceptions.NotFittedError, match="not fitted"):
        Reweighter().transform(PEOPLE)
    with pytest.raises(sklearn.exceptions.NotFittedError, match="not fitted"):
        Synthesizer(["y"], ["x"]).generate(PEOPLE)
    with pytest.raises(ValueError, match="not fitted"):
        Reweighter().transform(PEOPLE)


def test_a_frame_of_another_length_is_refused():
    fitted = Reweighter().fit(PEOPLE, MARGINS)
    with pytest.raises(ValueError, match="length 2, but weights were fitted for 3 rows"):
        fitted.transform(PEOPLE[:2])


def test_parameters_are_checked_when_they_are_set():
    reweighter = Reweighter().set_params(distance="raking", tol=1e-6)
    assert reweighter.get_params()["tol"] == 1e-6
    assert repr(reweighter) == "Reweighter(tol=1e-06, distance='raking')"
    with pytest.raises(ValueError, match="To use bounds, choose"):
        reweighter.set_params(bounds=(0.5, 2.0))
    assert reweighter.bounds is None
    with pytest.raises(ValueError, match="has no parameter distances"):
        reweighter.set_params(distances="raking")
    assert reweighter.fit(PEOPLE, MARGINS).method.label == "distance='raking'"


def test_repr_describes_the_fit():
    fitted = Reweighter(distance="raking").fit(PEOPLE, MARGINS, "w")
    assert repr(fitted).startswith(
        "Reweighter(distance='raking')\nfitted: 3 records, 2 targets, distance='raking' by scipy, "
        "worst relative error "
    )
    fitted.fit(PEOPLE.with_columns(hh=pl.Series([1, 2, 2])), {"g": {"a": 60, "b": 20}}, "w",
               household_id="hh")  # fmt: skip
    assert "fitted: 3 records in 2 households, 2 targets" in repr(fitted)
    areas = GeographicReweighter().fit(PEOPLE, AREAS, "w")
    assert repr(areas).startswith(
        "GeographicReweighter()\nfitted: 3 records in 2 areas with 1 targets each, allocation, worst "
    )
    soft = AREAS.with_columns(standard_error=pl.lit(1.0))
    assert "standard errors" in repr(GeographicReweighter("pmedm").fit(PEOPLE, soft, "w"))


def test_weight_columns_mean_the_same_everywhere():
    """A name must exist and gets the results; None means equal weights, and results in "weight"."""
    persons = Targets(rows(["x"], [120.0]).drop("geoid"))
    replicates = PEOPLE.with_columns(r1=pl.Series([1.0, 2.0, 0.0]))
    for weight_col, result_col in (("w", "w"), (None, "weight")):
        weighted = Reweighter(distance="raking").fit_transform(PEOPLE, persons, weight_col)
        assert (weighted[result_col] * weighted["n_persons"]).sum() == pytest.approx(120)
        both = calibrate_replicates(replicates, persons, weight_col, ["r1"])
        assert both[result_col].to_list() == pytest.approx(weighted[result_col].to_list())
        areas = GeographicReweighter(scale_to_total=True).fit(PEOPLE, AREAS, weight_col)
        assert areas.area_weights_.columns == ["geoid", "record", result_col]
    # equal weights are as large as the targets need, so that these need no scaling
    equal = GeographicReweighter().fit(PEOPLE, AREAS)
    sums = equal.area_weights_.group_by("record").agg(pl.col("weight").sum())["weight"]
    assert sums.to_list() == pytest.approx([130 / 6] * 3)


def test_missing_weight_columns_are_named():
    persons = Targets(rows(["x"], [120.0]).drop("geoid"))
    replicates = PEOPLE.with_columns(r1=pl.col("w"), r2=pl.col("w"))
    for fit in (
        lambda: Reweighter().fit(PEOPLE, persons, "v"),
        lambda: GeographicReweighter().fit(PEOPLE, AREAS, "v"),
        lambda: calibrate_replicates(replicates, persons, "v", ["r1"]),
        lambda: replicate_standard_error(replicates, lambda f, w: 0.0, "v", ["r1", "r2"], "brr"),
    ):
        with pytest.raises(CalibrationError, match="the records lack the weight column 'v'"):
            fit()


def test_replicates_leave_the_given_estimator_unfitted():
    replicates = PEOPLE.with_columns(r1=pl.col("w"))
    given = Reweighter(distance="raking")
    calibrate_replicates(replicates, MARGINS, "w", ["r1"], reweighter=given)
    with pytest.raises(NotFittedError):
        given.get_sparsity_stats()
