import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ks_2samp

from microplex_pipeline.evaluation.margins import (
    correlation_error,
    correlations,
    grouped_ks,
    sign_shares,
    weighted_ks,
)

samples = st.integers(2, 60).flatmap(
    lambda n: arrays(np.float64, n, elements=st.integers(-50, 50))
)


@given(a=samples, b=samples)
def test_equal_weights_give_the_classical_distance(a, b):
    ours = weighted_ks(a, b, np.ones(len(a)), np.ones(len(b)))
    assert ours == pytest.approx(ks_2samp(a, b).statistic, abs=1e-9)


@given(a=samples, b=samples, copies=st.integers(1, 4))
def test_weights_act_as_replication(a, b, copies):
    weights = np.arange(len(a)) % copies + 1.0
    weighted = weighted_ks(a, b, weights, np.ones(len(b)))
    replicated = np.repeat(a, weights.astype(int))
    plain = weighted_ks(replicated, b, np.ones(len(replicated)), np.ones(len(b)))
    assert weighted == pytest.approx(plain, abs=1e-9)


def test_groups_are_weighted_by_their_size():
    real, groups = np.array([0.0, 1, 0, 1]), np.array([0, 0, 1, 1])
    drawn = np.array([0.0, 1, 5, 5])
    weights = np.array([3.0, 3, 1, 1])
    assert grouped_ks(real, drawn, weights, weights, groups, groups) == pytest.approx(2 / 8)


def test_sign_shares():
    shares = sign_shares(np.array([-2.0, 0, 0, 5]), np.array([1.0, 2, 3, 4]))
    np.testing.assert_allclose(shares, [0.1, 0.5, 0.4])


def test_correlations_are_weighted_and_zero_for_constants():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(500, 3))
    data[:, 1] += data[:, 0]
    weights = rng.integers(1, 4, 500)
    expected = np.corrcoef(np.repeat(data, weights, axis=0).T)
    np.testing.assert_allclose(correlations(data, weights.astype(float)), expected, atol=1e-12)
    data[:, 2] = 7
    assert correlations(data, np.ones(500))[0, 2] == 0
    assert correlation_error(data, data, np.ones(500), np.ones(500)) == 0
