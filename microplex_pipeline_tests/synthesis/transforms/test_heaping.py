import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from microplex_pipeline.synthesis.transforms.heaping import LEVELS, even_heaping, fit_heaping

amounts = st.integers(1, 60).flatmap(
    lambda n: arrays(np.float64, n, elements=st.integers(1, 10**6).map(float))
)


@given(values=amounts)
def test_cumulated_is_the_sum_of_the_density(values):
    heaping = fit_heaping(values, np.ones(len(values)))
    x = np.arange(0, 12_001)
    steps = np.diff(heaping.cumulated(x))
    assert np.all(steps > 0)
    divides = x[1:, None] % LEVELS == 0
    decade = np.searchsorted([1e3, 1e4, 1e5], x[1:], side="right")
    expected = (divides * LEVELS * heaping.shares[decade]).sum(axis=1)
    np.testing.assert_allclose(steps, expected, atol=1e-6)


@given(values=amounts, x=arrays(np.float64, 20, elements=st.integers(1, 10**7).map(float)))
def test_whole_number_undoes_cumulated(values, x):
    heaping = fit_heaping(values, np.ones(len(values)))
    above, below = heaping.cumulated(x), heaping.cumulated(x - 1)
    np.testing.assert_array_equal(heaping.whole_number((above + below) / 2), x)


def test_shares_of_the_levels_are_recovered():
    rng = np.random.default_rng(0)
    level = rng.choice([1, 100, 500], 20_000, p=[0.2, 0.5, 0.3])
    values = (rng.integers(10_000, 99_000, 20_000) // level + 1) * level
    shares = dict(
        zip(LEVELS, fit_heaping(values.astype(float), np.ones(20_000)).shares[2], strict=True)
    )
    assert shares[1] == pytest.approx(0.2, abs=0.02)
    assert shares[100] == pytest.approx(0.5, abs=0.02)
    assert shares[500] == pytest.approx(0.3, abs=0.02)


def test_even_heaping_gives_every_number_the_same_mass():
    np.testing.assert_allclose(even_heaping().cumulated(np.arange(0, 5000)), np.arange(0, 5000))
