"""Weighted statistics, against repeated records and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex_pipeline.evaluation.statistics import below_relative_line, named

COUNTED = st.lists(st.tuples(st.integers(-50, 1000), st.integers(1, 4)), min_size=1, max_size=30)


@pytest.mark.parametrize("name", ["total", "mean", "share", "median", "gini", "top_coded_gini"])
@given(COUNTED)
def test_a_weight_counts_like_as_many_records(name, counted):
    values, weights = np.array(counted, float).T
    repeated = np.repeat(values, weights.astype(int))
    weighted = named(name)(values, weights)
    plain = named(name)(repeated, np.ones(len(repeated)))
    assert weighted == pytest.approx(plain, rel=1e-9, abs=1e-9, nan_ok=True)


@given(COUNTED, st.floats(0.01, 0.99))
def test_a_quantile_is_a_value_with_that_share_below_or_at_it(counted, q):
    values, weights = np.array(counted, float).T
    found = named("quantile", q)(values, weights)
    whole = weights.sum()
    assert weights[values <= found].sum() >= q * whole * (1 - 1e-9)
    assert weights[values < found].sum() < q * whole * (1 + 1e-9)


def test_the_gini_coefficient_of_an_even_spread_is_a_third():
    values = np.linspace(0, 1, 10_001)
    assert named("gini")(values, np.ones(len(values))) == pytest.approx(1 / 3, abs=1e-4)


def test_an_income_of_millions_does_not_move_the_top_coded_gini():
    incomes = np.linspace(10_000, 90_000, 999)
    few = np.append(incomes, 600_000.0)
    many = np.append(incomes, 50_000_000.0)
    gini, top_coded = named("gini"), named("top_coded_gini")
    weights = np.ones(1000)
    assert gini(many, weights) > gini(few, weights) + 0.2
    assert top_coded(many, weights) == top_coded(few, weights)
    assert top_coded(incomes, weights[:-1]) == gini(incomes, weights[:-1])


def test_the_share_below_half_the_median():
    assert below_relative_line(np.array([1.0, 4, 10, 12, 30]), np.ones(5), 0.5) == 0.4


@pytest.mark.parametrize(
    ("name", "q", "message"),
    [
        ("variance", None, "no statistic 'variance'"),
        ("quantile", None, "a quantile needs q"),
        ("quantile", 1.5, "a quantile needs q"),
        ("mean", 0.5, "q is for quantiles"),
    ],
)
def test_an_unknown_statistic_is_refused(name, q, message):
    with pytest.raises(ValueError, match=message):
        named(name, q)
