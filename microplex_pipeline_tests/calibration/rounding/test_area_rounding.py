"""Whole weights keep each record within one of its weight, and the controls of every level."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microplex_pipeline.calibration.rounding.area_rounding import (
    AreaRounding,
    ControlLevel,
    unit_costs,
)
from microplex_pipeline.calibration.rounding.record_rounding import round_weights


def population(rng, records):
    """Return features (records, 8) of households: sizes 1 to 4, children, adults, incomes of two kinds."""
    size = rng.integers(1, 5, records)
    children = np.where(size > 1, rng.integers(0, 3, records) % size, 0)
    rich = rng.random(records) < 0.3
    columns = [*(size == k for k in range(1, 5)), children, size - children, rich, ~rich]
    return sp.csr_array(np.column_stack(columns).astype(float))


def nested_problem(seed, records, zones, tracts):
    """Return weights that meet controls of zones, tracts and a region, made from whole households."""
    rng = np.random.default_rng(seed)
    features = population(rng, records)
    parents = np.sort(rng.integers(0, tracts, zones))
    parents[:tracts] = np.arange(tracts)
    parents = np.sort(parents)
    dense = features.toarray()
    units = rng.multinomial(120, np.full(records, 1 / records), zones).astype(float)
    # even weights, moved as little as it takes to have the same totals
    even = np.full(records, 120 / records)
    moved = (units - even) @ dense @ np.linalg.pinv(dense.T @ dense) @ dense.T
    weights = np.maximum(even + moved, 0)
    values = units @ dense
    of_tracts = np.zeros((tracts, 8))
    np.add.at(of_tracts, parents, values)
    everything = np.ones(8)
    levels = [
        ControlLevel(np.zeros(1, int), values.sum(axis=0)[None], everything),
        ControlLevel(np.zeros(tracts, int), of_tracts, everything),
        ControlLevel(parents, values, everything),
    ]
    return features, levels, weights


def totals(features, levels, rounded):
    found = [np.array([w.units @ features[w.records] for w in rounded])]
    for level in reversed(levels[1:]):
        above = np.zeros((level.parents.max() + 1, features.shape[1]))
        np.add.at(above, level.parents, found[0])
        found.insert(0, above)
    return found


def test_controls_of_all_levels_are_met_where_whole_households_can_meet_them():
    features, levels, weights = nested_problem(1, 400, 40, 5)
    rounded = list(AreaRounding(features, levels, seed=3).round(iter(weights)))
    found = totals(features, levels, rounded)
    worst = [np.abs(level.values - f).max() for level, f in zip(levels, found, strict=True)]
    assert worst[0] < 1e-6
    assert worst[1] < 1e-6
    assert worst[2] < 1e-6
    # a systematic sample alone is far off
    plain = [
        np.floor(w) + (np.diff(np.floor(np.concatenate([[0], np.cumsum(w - np.floor(w))]) + 0.5)))
        for w in weights
    ]
    assert np.abs(np.array(plain) @ features.toarray() - levels[2].values).mean() > 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(200, 300), st.integers(1, 4))
def test_each_record_is_rounded_down_or_up(seed, records, tracts):
    features, levels, weights = nested_problem(seed, records, tracts + 3, tracts)
    rounded = list(AreaRounding(features, levels, seed).round(weights))
    again = list(AreaRounding(features, levels, seed).round(weights))
    for whole, same, own in zip(rounded, again, weights, strict=True):
        units = np.zeros(len(own))
        units[whole.records] = whole.units
        assert (whole.units > 0).all()
        assert (np.abs(units - own) < 1).all()
        np.testing.assert_array_equal(whole.units, same.units)
        np.testing.assert_array_equal(whole.records, same.records)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0, 50, allow_subnormal=False), min_size=1, max_size=40), st.integers(0, 99)
)
@example([3.8e-259, 1.5], 2)
def test_without_controls_the_sum_is_kept(weights, seed):
    weights = np.array(weights)
    whole = round_weights(sp.csr_array((0, len(weights))), np.zeros(0), weights, seed)
    assert abs(whole.sum() - weights.sum()) <= 0.5 + 1e-9
    assert (np.abs(whole - weights) < 1).all()
    assert (whole[weights < 1e-9] == 0).all()


def test_a_unit_goes_to_records_in_proportion_to_their_fractions():
    weights = np.array([1.9, 0.1, 3.0, 0.5, 0.5])
    mean = np.mean(
        [round_weights(sp.csr_array((0, 5)), np.zeros(0), weights, i) for i in range(600)], axis=0
    )
    np.testing.assert_allclose(mean, weights, atol=0.07)


def test_a_control_that_the_weights_miss_is_not_forced():
    features = sp.csr_array(np.ones((40, 1)))
    whole = round_weights(sp.csr_array(features.T), np.array([39.0]), np.full(40, 0.25), 0)
    assert whole.sum() == 10


def test_many_areas_around_which_nothing_is_controlled():
    rng = np.random.default_rng(0)
    features = population(rng, 300)
    weights = rng.random((50, 300)) * 0.4
    values = weights @ features.toarray()
    level = ControlLevel(np.zeros(50, int), values, unit_costs(features))
    rounded = list(AreaRounding(features, [level], 0).round(weights))
    (found,) = totals(features, [level], rounded)
    assert (np.abs(found - values) < 1 + 1e-9).mean() > 0.97


def test_amounts_cost_less_than_counts():
    features = sp.csr_array(np.array([[1.0, 30_000.0, 0.5], [2.0, 0.0, 0.25], [1.0, 10_000, 1]]))
    assert unit_costs(features).tolist() == pytest.approx([1, 1 / 20_000, 1 / (1.75 / 3)])
