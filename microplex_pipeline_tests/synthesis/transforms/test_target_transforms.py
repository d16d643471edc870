import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex_pipeline.synthesis.transforms.target_transforms import (
    UNKNOWN,
    AmountTransform,
    StoredAmount,
    detect_resolution,
    fit_amount,
    fit_category,
)

OPTIONS = {"atom_holders": 3, "max_knots": 80, "tail_factor": 10.0}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 5000, -12_000], 1000.0),
        ([0, 31_202, 500], 1.0),
        ([0.577, 1.0], 0.001),
        ([12.25, 3.5], 0.01),
        ([0, 0], 1.0),
    ],
)
def test_resolution_is_the_coarsest_grid(values, expected):
    assert detect_resolution(np.array(values, float)) == pytest.approx(expected)


def test_resolution_of_continuous_values_is_far_below_their_size():
    values = np.random.default_rng(0).lognormal(3, 1, 1000)
    assert detect_resolution(values) < np.median(values) * 1e-5


@given(st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=80))
def test_signs_and_magnitudes_survive_a_round_trip(values):
    column = pl.Series("x", values)
    transform = fit_amount(column, np.ones(len(values)), **OPTIONS)
    signs = np.asarray(transform.signs)[transform.classes(column)]
    np.testing.assert_array_equal(signs, np.sign(values))
    restored = AmountTransform.restore(
        StoredAmount(name="x", **transform.architecture()), transform.arrays()
    )
    np.testing.assert_array_equal(restored.classes(column), transform.classes(column))
    grid = transform.grid(column)
    np.testing.assert_array_equal(restored.encode(grid), transform.encode(grid))
    np.testing.assert_allclose(grid * transform.resolution, values)


def test_an_unseen_sign_is_unknown():
    transform = fit_amount(pl.Series("x", [0, 5, 7]), np.ones(3), **OPTIONS)
    assert transform.classes(pl.Series("x", [-1, 0, 3])).tolist() == [UNKNOWN, 0, 1]


def test_an_unseen_category_is_unknown():
    transform = fit_category(pl.Series("x", ["b", "a", "b"]))
    assert transform.classes(pl.Series("x", ["a", "c", "b"])).tolist() == [0, UNKNOWN, 1]
