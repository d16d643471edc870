from dataclasses import dataclass

import numpy as np
import pytest

from microplex_pipeline.calibration.solvers.damped_newton import Step, Stopping, damped_newton


@dataclass
class At:
    x: float
    value: float


def log_cosh(x):
    """A convex function on which undamped Newton steps from |x| > 1.09 diverge."""
    return At(x, float(np.logaddexp(x, -x)))


def newton_step(point, error):
    gradient, curvature = np.tanh(point.x), 1 - np.tanh(point.x) ** 2
    step = -gradient / curvature
    return Step(gradient * step, 1.0, lambda share: log_cosh(point.x + share * step))


@pytest.mark.parametrize("start", [0.0, 0.5, 3.0, -8.0])
def test_steps_are_halved_until_they_descend(start):
    found = damped_newton(
        log_cosh(start), lambda p: abs(np.tanh(p.x)), newton_step, Stopping(1e-12, 1e-9, 50)
    )
    assert found.met
    assert found.point.x == pytest.approx(0, abs=1e-12)
    assert (found.iterations == 0) == (start == 0)


def test_it_stops_after_max_iter():
    found = damped_newton(
        log_cosh(3.0), lambda p: abs(np.tanh(p.x)), newton_step, Stopping(1e-12, 1e-12, 1)
    )
    assert not found.met
    assert found.iterations == 1
    assert found.error > 1e-3


def test_a_rejected_step_may_be_tried_again():
    """The step points uphill until it was rejected once."""
    signs = [-1.0, 1.0]
    taken = []

    def step(point, error):
        sign = signs[0]
        direction = -sign * np.tanh(point.x)
        return Step(
            -abs(direction),
            1.0,
            lambda share: log_cosh(point.x + share * direction),
            accepted=lambda: taken.append(sign),
            rejected=lambda: bool(signs.pop(0)),
        )

    found = damped_newton(
        log_cosh(2.0), lambda p: abs(np.tanh(p.x)), step, Stopping(1e-9, 1e-9, 200)
    )
    assert found.met
    assert set(taken) == {1.0}


def test_stalled_errors_are_accepted_only_below_the_floor():
    stopping = Stopping(1e-12, 1e-9, 50, lag=2, patience=3)
    assert stopping.met([1.0, 1e-10, 1e-10, 9e-11])
    assert not stopping.met([1e-10, 1e-10, 9e-11])  # too early to tell
    assert not stopping.met([1.0, 1e-10, 1e-10, 1e-11])  # still falling
    assert not stopping.met([1e-8] * 9)
