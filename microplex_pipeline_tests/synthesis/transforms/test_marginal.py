import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from microplex_pipeline.synthesis.transforms.marginal import fit_marginal

whole_numbers = st.integers(1, 200).flatmap(
    lambda n: arrays(np.float64, n, elements=st.integers(1, 10**7).map(float))
)


@given(values=whole_numbers)
def test_distribution_function_rises_from_zero_to_one(values):
    marginal = fit_marginal(values, np.ones(len(values)))
    assert np.all(np.diff(marginal.x) > 0)
    assert np.all(np.diff(marginal.u) >= 0)
    assert marginal.u[-1] == pytest.approx(1.0, abs=1e-12)
    assert marginal.u[0] == pytest.approx(0.0, abs=1e-12)


@given(values=whole_numbers)
@example(values=np.array([1.0, 4.0, 5.0, 5.0, 5.0]))  # all mass is mapped to 1
def test_inverse_undoes_cell(values):
    marginal = fit_marginal(values, np.ones(len(values)))
    low, high = marginal.cell(values)
    assert np.all(high > low)
    np.testing.assert_array_equal(marginal.inverse((low + high) / 2), values)


@given(values=whole_numbers)
def test_cells_of_all_whole_numbers_add_up_to_one(values):
    values = np.minimum(values, 50)
    marginal = fit_marginal(values, np.ones(len(values)))
    low, high = marginal.cell(np.arange(1, np.floor(marginal.x[-1]) + 1))
    assert (high - low).sum() == pytest.approx(1.0, abs=1e-9)


@given(values=whole_numbers, copies=st.integers(2, 4))
def test_weights_act_as_replication_of_the_atoms(values, copies):
    values = np.repeat(values, 3)
    weighted = fit_marginal(values, np.full(len(values), float(copies)))
    plain = fit_marginal(values, np.ones(len(values)))
    np.testing.assert_allclose(weighted.u, plain.u, atol=1e-12)


def test_only_values_of_enough_holders_are_point_masses():
    unique = np.arange(1, 400) * 997.0 + 13
    values = np.concatenate([np.full(40, 50_000.0), np.full(2, 123_457.0), unique])
    marginal = fit_marginal(values, np.ones(len(values)), atom_holders=3)
    drawn = marginal.inverse(np.random.default_rng(0).random(200_000))
    assert np.mean(drawn == 50_000) == pytest.approx(40 / len(values), rel=0.1)
    # by chance, a density hits one of 400 values out of 400,000 whole numbers
    assert np.mean(np.isin(drawn, [*unique, 123_457.0])) < 0.004


def test_draws_stay_within_the_tail_factor():
    values = np.random.default_rng(1).pareto(1.1, 500).round() + 1
    marginal = fit_marginal(values, np.ones(500), tail_factor=2.0)
    assert marginal.inverse(np.array([1 - 1e-12]))[0] <= 2 * values.max() + 10
    low, high = marginal.cell(np.array([100 * values.max(), 2000 * values.max()]))
    assert high[0] > low[0]
    assert high[1] == low[1]


def test_mixing_lies_between_the_two():
    rng = np.random.default_rng(2)
    a, b = (fit_marginal(rng.integers(1, 9999, 99).astype(float), np.ones(99)) for _ in range(2))
    mixed = a.mixed_with(b, 0.3)
    knots = np.floor(a.x[1:-1])
    expected = 0.3 * a.cell(knots)[1] + 0.7 * b.cell(knots)[1]
    np.testing.assert_allclose(mixed.cell(knots)[1], expected, atol=1e-12)


@pytest.mark.parametrize("rare", [[3855.0], [3855.0, 3855.0], [3855.0, 3856.0]])
@pytest.mark.parametrize("others", [[], [500.0] * 20])
def test_a_single_respondents_amount_is_not_reproduced(rare, others):
    values = np.array([*others, *rare])
    marginal = fit_marginal(values, np.ones(len(values)))
    drawn = marginal.inverse(np.random.default_rng(0).random(100_000))
    assert np.mean(np.isin(drawn, rare)) < 0.02


def test_only_the_mean_and_range_of_an_interval_matter():
    """Amounts that change within their interval, but not its mean, do not change the distribution."""
    values = np.unique(np.random.default_rng(3).integers(1, 10**5, 70)).astype(float)
    moved = values.copy()
    moved[23] += 1000  # neither the ends nor the mean of its interval change
    moved[27] -= 1000
    one, other = (fit_marginal(v, np.ones(len(v))) for v in (values, moved))
    np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_allclose(one.u, other.u, rtol=0, atol=1e-12)
    moved[25] += 1000
    assert not np.allclose(fit_marginal(moved, np.ones(len(moved))).u, one.u, rtol=0, atol=1e-9)


@pytest.mark.parametrize("spread", [0.5, 1.5, 2.5])
def test_the_mean_is_kept_for_light_and_heavy_tails(spread):
    rng = np.random.default_rng(1)
    values = np.unique(np.floor(np.exp(rng.normal(8, spread, 900)))) + 1
    weights = rng.uniform(1, 3, len(values))
    marginal = fit_marginal(values, weights)
    drawn = marginal.inverse((np.arange(200_000) + 0.5) / 200_000)
    assert drawn.mean() == pytest.approx(np.average(values, weights=weights), rel=0.06)
    assert drawn.max() <= 2 * values.max() + 10


def _nation(rng):
    values = np.unique(np.floor(np.exp(rng.normal(9, 2, 4000)))) + 1
    return fit_marginal(values, np.ones(len(values)))


def test_a_small_area_draws_no_larger_than_its_own_bound():
    rng = np.random.default_rng(2)
    nation = _nation(rng)
    area = fit_marginal(rng.integers(100, 5000, 80).astype(float), np.ones(80))
    drawn = area.mixed_with(nation, 0.5).inverse((np.arange(50_000) + 0.5) / 50_000)
    assert drawn.max() <= area.bound
    assert np.mean(drawn == drawn.max()) < 0.001  # nothing piles up at the bound


def test_no_pile_up_at_the_bound_discloses_the_largest_amount():
    rng = np.random.default_rng(6)
    state = np.round(np.exp(rng.normal(9, 1.5, 300)))
    nation = np.round(np.exp(rng.normal(9, 2.0, 20_000)))
    own = fit_marginal(state, np.ones(300))
    for marginal in (own, own.mixed_with(fit_marginal(nation, np.ones(20_000)), 0.8)):
        drawn = marginal.inverse(np.linspace(0.9, 1, 200_000, endpoint=False))
        beyond = drawn[drawn > state.max()]
        assert len(beyond) > 50
        assert (beyond > 1.98 * state.max()).mean() < 0.05  # the last fiftieth of that range
