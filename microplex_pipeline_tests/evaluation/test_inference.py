"""Estimates with errors from files and replicates whose variance is known."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from microplex_pipeline.calibration.bootstrap_weights import bootstrap_factors
from microplex_pipeline.evaluation.inference import CannotEstimate, Estimate, estimate


def files(values, n_replicates, seed=0, state="RI"):
    """A file of independent records, and bootstrap replicates of it."""
    rng = np.random.default_rng(seed)
    record = {"state": state, "wages": values, "age": np.arange(len(values))}
    whole = pl.DataFrame({**record, "weight": 2.0})
    parts = [
        pl.DataFrame({**record, "replicate": r, "weight": 2 * bootstrap_factors(len(values), rng)})
        for r in range(1, n_replicates + 1)
    ]
    return whole, pl.concat(parts)


def test_the_error_of_a_total_is_that_of_the_textbook():
    values = np.random.default_rng(1).lognormal(10, 1, 400)
    whole, replicates = files(values, 3000)
    found = estimate(whole, replicates, "total", "wages")
    assert found.value == pytest.approx(2 * values.sum())
    textbook = 2 * len(values) * values.std(ddof=1) / len(values) ** 0.5
    assert found.standard_error == pytest.approx(textbook, rel=0.05)


def test_the_error_of_a_median_is_that_of_its_distribution():
    values = np.random.default_rng(1).normal(100, 10, 1001)
    whole, replicates = files(values, 1000)
    found = estimate(whole, replicates, "median", "wages")
    large = 10 * (np.pi / 2 / 1001) ** 0.5
    assert found.standard_error == pytest.approx(large, rel=0.25)


@pytest.mark.parametrize("n_replicates", [4, 40])
def test_intervals_hold_the_truth_as_often_as_they_say(n_replicates):
    rng = np.random.default_rng(2)
    held = 0
    for trial in range(400):
        whole, replicates = files(rng.normal(5, 2, 60), n_replicates, trial)
        found = estimate(whole, replicates, "mean", "wages")
        held += found.low <= 5 <= found.high
    assert 0.91 <= held / 400 <= 0.98


def test_a_domain_without_records_counts_as_zero_in_a_total_and_stops_a_mean():
    whole, replicates = files(np.ones(10), 3)
    replicates = replicates.filter((pl.col("replicate") != 2) | (pl.col("age") < 5))
    old = pl.col("age") >= 5
    assert estimate(whole, replicates, "total", "wages", where=old).replicates[1] == 0
    with pytest.raises(CannotEstimate, match="no value in 1 of 3 replicates"):
        estimate(whole, replicates, "mean", "wages", where=old)
    with pytest.raises(CannotEstimate, match="no record is in the domain"):
        estimate(whole, replicates, "mean", "wages", where=pl.col("age") > 99)


def test_states_are_added_by_replicate_and_must_have_the_same_number():
    a, b = files(np.arange(50.0), 400, 1), files(np.arange(50.0), 400, 2, "VT")
    one = estimate(*a, "total", "wages")
    both = estimate(pl.concat([a[0], b[0]]), pl.concat([a[1], b[1]]), "total", "wages")
    assert both.standard_error == pytest.approx(one.standard_error * 2**0.5, rel=0.1)
    short = pl.concat([a[1], b[1].filter(pl.col("replicate") == 1)])
    with pytest.raises(CannotEstimate, match="VT has 1 replicates, others have up to 400"):
        estimate(a[0], short, "total", "wages")


def test_differences_are_paired_or_independent():
    rng = np.random.default_rng(0)
    common, own = rng.normal(size=4000), rng.normal(size=(2, 4000)) / 10
    a, b = (Estimate.from_replicates(v, common + x) for v, x in zip((3.0, 1.0), own, strict=True))
    paired, independent = a.minus(b, paired=True), a.minus(b, paired=False)
    assert paired.value == independent.value == 2
    assert paired.standard_error == pytest.approx(0.02**0.5, rel=0.05)
    assert independent.standard_error == pytest.approx(2.02**0.5, rel=0.05)
    assert independent.df == pytest.approx(2 * 3999, rel=0.01)


def test_an_interval_is_students():
    found = Estimate.from_replicates(10.0, [9.0, 11.0, 10.0], level=0.9)
    assert found.high == pytest.approx(10 + stats.t.ppf(0.95, 2))
    with pytest.raises(CannotEstimate, match="at least two"):
        Estimate.from_replicates(1.0, [1.0])


def test_missing_values_and_foreign_frames():
    whole, replicates = files(np.arange(9.0), 3)
    in_pandas = estimate(whole.to_pandas(), replicates.to_pandas(), "gini", "wages")
    assert in_pandas == estimate(whole, replicates, "gini", "wages")
    hole = pl.when(pl.col("age") > 3).then(pl.col("wages"))
    with pytest.raises(ValueError, match="missing values"):
        estimate(whole, replicates, "total", hole)
