"""The share of an area's own margin beside its nation's."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex_pipeline.synthesis.transforms.deleted_interpolation import FOLDS, own_share
from microplex_pipeline.synthesis.transforms.marginal import Marginal, fit_marginal


def lognormal(n: int, level: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(level, 0.8, n).round().clip(1)


def fit(values: np.ndarray) -> Marginal:
    return fit_marginal(values, np.ones(len(values)))


@pytest.mark.parametrize("n", [30, 300])
def test_an_area_like_its_nation_relies_on_the_nation(n):
    nation = fit(lognormal(2_000, 11, 0))
    shares = [
        own_share(lognormal(n, 11, seed), np.ones(n), nation, fit_marginal) for seed in range(1, 9)
    ]
    assert np.mean(shares) < 0.4


def test_an_area_of_its_own_relies_on_its_records():
    nation = fit(lognormal(2_000, 11, 0))
    assert own_share(lognormal(300, 13, 1), np.ones(300), nation, fit_marginal) > 0.8


def test_a_record_says_nothing_of_its_own_distribution():
    nation = fit(lognormal(1_000, 9, 0))
    assert own_share(np.array([5.0]), np.ones(1), nation, fit_marginal) == 0.0
    beyond = np.full(40, 1e12)  # beyond the end of the nation's distribution
    assert 0.9 < own_share(beyond, np.ones(40), nation, fit_marginal) < 1.0


@given(seed=st.integers(0, 1_000), level=st.floats(8.5, 9.5), n=st.integers(2, 60))
def test_the_share_makes_records_left_out_most_likely(seed, level, n):
    """Compared with a grid of shares; one record of the nation counts beside the area's."""
    rng = np.random.default_rng(seed)
    values, weights = lognormal(n, level, seed), rng.uniform(0.5, 2.0, n)
    nation, fitted = fit(lognormal(2_000, 9, 7)), partial(fit_marginal, atom_holders=5)
    own = np.empty(n)
    for k in range(min(FOLDS, n)):
        out = np.arange(n) % min(FOLDS, n) == k
        low, high = fitted(values[~out], weights[~out]).cell(values[out])
        own[out] = high - low
    low, high = nation.cell(values)

    def log_likelihood(share: float) -> float:
        mixed = share * own + (1 - share) * (high - low)
        return weights @ np.log(mixed) / weights.mean() + np.log(1 - share)

    found = log_likelihood(own_share(values, weights, nation, fitted))
    assert found > max(map(log_likelihood, np.linspace(0.001, 0.999, 400))) - 0.02
