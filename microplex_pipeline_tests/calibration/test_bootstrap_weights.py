"""Bootstrap factors and weights: their moments, and the variance of totals."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex_pipeline.calibration import bootstrap_weights, replicate_standard_error
from microplex_pipeline.calibration.bootstrap_weights import bootstrap_factors


@given(st.integers(3, 200), st.integers(0, 99))
def test_factors_are_positive_and_add_up(n, seed):
    factors = bootstrap_factors(n, np.random.default_rng(seed))
    assert (factors > 0).all()
    assert factors.sum() == pytest.approx(n)


@pytest.mark.parametrize("n", [5, 60])
def test_factors_have_variance_one(n):
    rng = np.random.default_rng(0)
    drawn = np.array([bootstrap_factors(n, rng) for _ in range(20_000)])
    assert drawn.var() == pytest.approx(1, rel=0.05)
    assert drawn.mean(axis=0) == pytest.approx(np.ones(n), abs=0.05)


def test_fewer_than_three_households_are_refused():
    with pytest.raises(ValueError, match="at least 3 households, not 2"):
        bootstrap_factors(2, np.random.default_rng(0))


def test_the_variance_of_a_total_is_that_of_households_drawn_with_replacement(rhode_island):
    data = bootstrap_weights(rhode_island, "weight", "household_id", replicates=600, seed=1)
    columns = [f"weight_{r}" for r in range(1, 601)]
    _, error = replicate_standard_error(
        data, lambda d, w: (d[w] * d["wages"]).sum(), "weight", columns, "bootstrap"
    )
    totals = rhode_island.group_by("household_id").agg((pl.col("weight") * pl.col("wages")).sum())[
        "weight"
    ]
    n = len(totals)
    textbook = (n * totals.var()) ** 0.5
    assert error == pytest.approx(textbook, rel=0.1)
    first = data.group_by("household_id").agg((pl.col("weight_1") / pl.col("weight")).n_unique())
    assert data["weight_1"].is_not_null().all()
    ratios = data.select("household_id", ratio=(pl.col("weight_1") / pl.col("weight")).round(9))
    assert ratios.unique().height == first.height
