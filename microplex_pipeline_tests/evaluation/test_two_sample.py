import time

import numpy as np
import pytest

from microplex_pipeline.evaluation.two_sample import coverage, paired_auc, rank_scale


@pytest.fixture
def people():
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, 1500).astype(float)
    return age, np.column_stack([age, age * 100 + rng.normal(0, 900, 1500)])


def fresh(age, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return np.column_stack([age, age * 100 + rng.normal(shift, 900, len(age))])


def test_independent_draws_for_the_same_conditions_are_indistinguishable(people):
    age, real = people
    aucs = [paired_auc(real, fresh(age, seed), seed=seed).auc for seed in range(1, 6)]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.02)


def test_a_shift_is_detected_within_its_interval(people):
    age, real = people
    result = paired_auc(real, fresh(age, 1, shift=700))
    assert result.auc > 0.6
    assert result.low < result.auc < result.high
    assert result.low > 0.5


def test_broken_dependence_is_detected(people):
    _, real = people
    broken = real.copy()
    broken[:, 1] = np.random.default_rng(2).permutation(real[:, 1])
    assert paired_auc(real, broken).auc > 0.7


def test_coverage_of_fresh_records_is_high_and_of_a_corner_low(people):
    age, real = people
    assert coverage(real, fresh(age, 3)) > 0.9
    assert coverage(real, np.tile(real[:1], (len(real), 1))) < 0.05


def test_rank_scale_does_not_depend_on_units(people):
    _, real = people
    scaled = rank_scale(real, real)
    np.testing.assert_allclose(rank_scale(real * 1000, real * 1000), scaled)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0)


def test_a_constant_column_does_not_change_distances():
    rng = np.random.default_rng(4)
    real = rng.normal(size=(400, 20))  # so many columns that distances come from inner products
    constant = np.zeros((400, 1))
    noisy = real + rng.normal(0, 0.5, real.shape)
    with_constant = np.hstack([real, constant]), np.hstack([noisy, constant])
    assert np.ptp(rank_scale(*with_constant)[:, -1]) == 0
    assert coverage(*with_constant) == coverage(real, noisy) > 0.5
    elsewhere = rank_scale(constant, np.array([[-1.0], [0.0], [1.0]]))
    assert np.ptp(elsewhere) == 1


def test_one_core_is_used(people):
    age, real = people
    paired_auc(real[:200], real[:200])  # loads the libraries
    busy, began = time.process_time(), time.perf_counter()
    paired_auc(real, fresh(age, 1))
    assert time.process_time() - busy < 1.3 * (time.perf_counter() - began)
