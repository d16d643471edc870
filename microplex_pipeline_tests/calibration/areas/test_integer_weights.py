import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from microplex_pipeline.calibration.areas.integer_weights import integer_weights

WEIGHTS = st.lists(st.floats(0, 50, allow_subnormal=False), min_size=1, max_size=40)


@given(WEIGHTS, st.integers(0, 100))
def test_integer_weights_add_up_to_the_rounded_sum(weights, seed):
    weights = np.array(weights)
    whole = integer_weights(weights, np.random.default_rng(seed))
    assert whole.sum() == round(float(weights.sum()))
    assert (np.abs(whole - weights) < 1).all()
    again = integer_weights(weights, np.random.default_rng(seed))
    np.testing.assert_array_equal(whole, again)


def test_truncated_fractions_are_the_probabilities():
    weights = np.array([1.9, 0.1, 3.0, 0.5, 0.5])
    drawn = [integer_weights(weights, np.random.default_rng(i)) for i in range(600)]
    mean = np.mean(drawn, axis=0)
    assert mean[2] == 3
    assert mean[0] > 1.65
    assert 0.05 < mean[1] < 0.3
