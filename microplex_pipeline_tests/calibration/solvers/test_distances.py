import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex_pipeline.calibration.solvers.distances import ChiSquare, LeastSquares, Logit, Raking

DISTANCES = [ChiSquare(), ChiSquare(0.2, 4.0), Raking(), Logit(0.1, 8.0), LeastSquares()]
points = st.floats(-4, 4).map(lambda x: np.array([x]))


@pytest.mark.parametrize("distance", DISTANCES, ids=str)
@given(u=points)
def test_ratio_is_the_derivative_of_the_integral(distance, u):
    step = 1e-5
    difference = (distance.integral(u + step) - distance.integral(u - step)) / (2 * step)
    assert difference == pytest.approx(distance.ratio(u), rel=1e-4, abs=2e-5)


@pytest.mark.parametrize("distance", DISTANCES, ids=str)
@given(u=points)
def test_ratio_never_falls(distance, u):
    assert distance.slope(u) >= 0
    assert distance.ratio(u + 0.1) >= distance.ratio(u)


@pytest.mark.parametrize("distance", [Raking(), Logit(0.1, 8.0)], ids=str)
@given(u=points)
def test_slope_is_the_derivative_of_the_ratio(distance, u):
    step = 1e-5
    difference = (distance.ratio(u + step) - distance.ratio(u - step)) / (2 * step)
    assert difference == pytest.approx(distance.slope(u), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("distance", DISTANCES[:4], ids=str)
def test_the_ratio_is_one_at_zero(distance):
    assert distance.ratio(np.zeros(1)) == pytest.approx(1.0)
    assert distance.slope(np.zeros(1)) == pytest.approx(1.0)


def test_logit_stays_inside_its_bounds():
    ratios = Logit(0.1, 8.0).ratio(np.array([-1e3, 1e3]))
    np.testing.assert_allclose(ratios, [0.1, 8.0])
