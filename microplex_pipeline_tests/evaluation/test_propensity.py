"""Propensity measures and overlap of intervals: known cases."""

import numpy as np
import pytest

from microplex_pipeline.evaluation.inference import Estimate
from microplex_pipeline.evaluation.interval_overlap import interval_overlap
from microplex_pipeline.evaluation.propensity import propensity


def people(n: int, shift: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.normal(shift, 1, n), rng.integers(0, 3, n)])


def test_another_sample_of_the_same_people_is_as_good_as_chance():
    found = propensity(people(1_500, 0, 0), people(1_500, 0, 1))
    assert found.pmse_ratio == pytest.approx(1, abs=0.15)
    assert found.specks == pytest.approx(found.specks_by_chance, abs=0.04)


def test_measures_grow_with_the_difference():
    real = people(1_500, 0, 0)
    found = [propensity(real, people(1_500, shift, 1)) for shift in (0, 0.5, 3)]
    assert found[0].pmse < found[1].pmse < found[2].pmse
    assert found[0].specks < found[1].specks < found[2].specks
    assert found[2].specks > 0.8  # the best that can be is 2 Phi(1.5) - 1 = .866
    assert found[2].pmse_ratio > 10


def test_weights_count():
    real = people(1_500, 0, 0)
    both = np.concatenate([people(1_500, 0, 1), people(1_500, 3, 2)])
    only_the_first = np.repeat([1.0, 1e-9], 1_500)
    weighted = propensity(real, both, (np.ones(len(real)), only_the_first))
    assert weighted.specks < propensity(real, both).specks / 2


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="100 each are needed"):
        propensity(people(99, 0, 0), people(500, 0, 1))


@pytest.mark.parametrize(
    ("synthetic", "overlap"),
    [((8, 12), 1.0), ((10, 14), 0.5), ((12, 16), 0.0), ((9, 11), 0.75), ((14, 18), -0.5)],
)
def test_the_overlap_of_intervals(synthetic, overlap):
    estimates = [Estimate(sum(i) / 2, 1.0, *i, 10.0, 0.95) for i in ((8, 12), synthetic)]
    assert interval_overlap(*estimates) == pytest.approx(overlap)


def test_intervals_without_length_are_refused():
    point = Estimate(10.0, 0.0, 10.0, 10.0, 10.0, 0.95)
    with pytest.raises(ValueError, match="no standard error"):
        interval_overlap(point, point)
