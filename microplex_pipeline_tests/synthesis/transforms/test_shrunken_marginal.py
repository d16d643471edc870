"""Margins of small areas: the area's levels, and fine structure of the nation or of the area."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex_pipeline.synthesis.transforms.marginal import Marginal, fit_marginal
from microplex_pipeline.synthesis.transforms.shrunken_marginal import fit_shrunken


def wages(n: int, seed: int, *, level: float = 9.0, heap: int = 100) -> np.ndarray:
    """Return amounts of which four in five are multiples of a number."""
    rng = np.random.default_rng(seed)
    exact = rng.lognormal(level, 0.8, n)
    rounded = (exact / heap).round() * heap
    return np.where(rng.random(n) < 0.8, rounded, exact.round()).clip(1)


def fit(values: np.ndarray, weights: np.ndarray | None = None) -> Marginal:
    return fit_marginal(values, np.ones(len(values)) if weights is None else weights)


def nats(marginal: Marginal, values: np.ndarray) -> float:
    """Return the mean negative log-probability."""
    low, high = marginal.cell(values)
    return -np.log(high - low).mean()


def shrunken(values: np.ndarray, nation: Marginal, prior_records: float = 75.0) -> Marginal:
    return fit_shrunken(values, np.ones(len(values)), nation, prior_records, fit_marginal)


@pytest.fixture(scope="module")
def nation() -> Marginal:
    return fit(wages(20_000, 0))


@pytest.mark.parametrize("n", [1, 2, 30, 300, 3_000])
def test_others_of_an_area_are_likelier_than_under_either_margin(nation, n):
    own, others = wages(n, 1, level=9.3), wages(20_000, 2, level=9.3)
    found = nats(shrunken(own, nation), others)
    assert found < nats(nation, others) + 0.03
    if n > 2:
        assert found < nats(fit(own).mixed_with(nation, 0.999), others)
    if n >= 300:
        fixed = fit(own).mixed_with(nation, n / (n + 75))
        assert found < nats(fixed, others) - (0.015 if n > 300 else 0.0)


def test_levels_are_the_areas_and_round_numbers_the_nations(nation):
    own = wages(400, 1, level=10.0)
    marginal = shrunken(own, nation, prior_records=1e-6)
    edges = np.quantile(own, [0.25, 0.5, 0.75]).round() + 0.5
    shares = (own[:, None] < edges).mean(axis=0)
    np.testing.assert_allclose(marginal.ranks_at(edges), shares, atol=0.06)
    hundreds = np.arange(100.0, 20_000.0, 100.0)
    unheld = hundreds[~np.isin(hundreds, own)]
    of_unheld, of_next = (
        np.subtract(*m[::-1]).sum() for m in map(marginal.cell, (unheld, unheld + 1))
    )
    assert of_unheld > 10 * of_next


def test_an_area_with_rules_of_its_own_follows_its_records(nation):
    own, others = wages(600, 1, heap=770), wages(20_000, 2, heap=770)
    multiples = np.arange(770.0, 15_400.0, 770.0)
    low, high = shrunken(own, nation).cell(multiples)
    share = np.isin(others, multiples).mean()
    assert (high - low).sum() > 0.9 * share


@given(
    seed=st.integers(0, 1_000),
    n=st.integers(1, 300),
    level=st.floats(7.0, 12.0),
    prior_records=st.sampled_from([1e-6, 1.0, 75.0, 1e9]),
)
def test_it_is_a_distribution_of_whole_numbers(seed, n, level, prior_records):
    own = wages(n, seed, level=level)
    marginal = shrunken(own, fit(wages(2_000, 7)), prior_records)
    marginal.check()
    low, high = marginal.cell(own)
    assert (high > low).all()
    ranks = np.random.default_rng(seed).random(200)
    drawn = marginal.inverse(ranks)
    assert (drawn >= 1).all()
    assert (drawn <= marginal.bound).all()
    low, high = marginal.cell(drawn)
    assert (high > low).all()


@given(
    values=st.lists(st.integers(1, 3_000), min_size=3, max_size=60), share=st.floats(0.01, 0.99)
)
def test_rescaling_keeps_the_shape_between_edges(values, share):
    marginal = fit(np.array(values, float))
    edges = np.array([np.floor(np.median(values)) + 0.5])
    rank = marginal.ranks_at(edges)[0]
    if not 0.01 < rank < 0.99:
        return
    rescaled = marginal.rescaled(edges, np.array([share]))
    rescaled.check()
    assert rescaled.ranks_at(edges)[0] == pytest.approx(share)
    numbers = np.arange(1.0, 4_000.0)
    low, high = marginal.cell(numbers)
    new_low, new_high = rescaled.cell(numbers)
    factors = np.where(numbers < edges[0], share / rank, (1 - share) / (1 - rank))
    np.testing.assert_allclose(new_high - new_low, factors * (high - low), atol=1e-12)
