"""Newton's method with backtracking for smooth convex functions.

The line search halves the step until Armijo's condition holds (Nocedal and Wright 2006, Numerical
Optimization, algorithm 3.1). How a step is computed (dense, sparse or by conjugate gradients) and how
long it may be at first is the caller's part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

ARMIJO = 1e-4  # share of the predicted decrease that a step must achieve


class Point(Protocol):
    """A point at which the function was evaluated."""

    @property
    def value(self) -> float:
        """The function's value."""


P = TypeVar("P", bound=Point)


def _nothing() -> None:
    """Do nothing after an accepted step."""


def _give_up() -> bool:
    """Do not retry after a rejected step."""
    return False


@dataclass(frozen=True)
class Step(Generic[P]):
    """A descent direction at a point.

    Attributes
    ----------
    slope : directional derivative along the full step, negative.
    length : fraction of the full step that is tried first.
    move : evaluates the function at a fraction of the step.
    accepted : called once a fraction was accepted.
    rejected : called if no fraction decreased the function; returns whether another step, computed at
        the same point, may do better.
    """

    slope: float
    length: float
    move: Callable[[float], P]
    accepted: Callable[[], None] = _nothing
    rejected: Callable[[], bool] = _give_up


@dataclass(frozen=True)
class Stopping:
    """When the iteration ends.

    Attributes
    ----------
    goal : error at which it has converged.
    floor : error that is accepted once the errors stall, because rounding allows no better.
    max_iter : largest number of steps.
    lag : errors stall if the last is more than half of the one `lag` steps before.
    patience : number of first errors that never count as stalled.
    least_length : fraction of a step below which it is rejected.
    flat : a change of the value below this, relative to max(scale, |value|), is rounding and accepted.
    scale : see `flat`.
    """

    goal: float
    floor: float
    max_iter: int
    lag: int = 1
    patience: int = 1
    least_length: float = 1e-8
    flat: float = 1e-13
    scale: float = 1.0

    def met(self, errors: list[float]) -> bool:
        """Return whether the iteration has converged, given the errors so far."""
        stalled = len(errors) > self.patience and errors[-1] > errors[-1 - self.lag] / 2
        return errors[-1] <= self.goal or (stalled and errors[-1] <= self.floor)


@dataclass(frozen=True)
class Minimum(Generic[P]):
    """Where the iteration ended.

    Attributes
    ----------
    point : the last point accepted.
    error : its error.
    iterations : steps tried.
    met : whether it converged.
    """

    point: P
    error: float
    iterations: int
    met: bool


def damped_newton(
    point: P,
    error: Callable[[P], float],
    newton_step: Callable[[P, float], Step[P]],
    stopping: Stopping,
) -> Minimum[P]:
    """Minimise a smooth convex function from `point`.

    Parameters
    ----------
    error : size of the gradient at a point, in units where `stopping` applies. It is called once
        before each step.
    newton_step : takes a point and its error, returns the step to try there.
    """
    errors: list[float] = []
    for iteration in range(stopping.max_iter + 1):
        errors.append(error(point))
        if stopping.met(errors):
            return Minimum(point, errors[-1], iteration, True)
        if iteration == stopping.max_iter:
            break
        step = newton_step(point, errors[-1])
        trial = _backtracked(point.value, step, stopping)
        if trial is not None:
            point = trial
            step.accepted()
        elif not step.rejected():
            break
    return Minimum(point, errors[-1], iteration, False)


def _backtracked(value: float, step: Step[P], stopping: Stopping) -> P | None:
    """Return the first point along the step that decreases the value enough, or None."""
    length = step.length
    while True:
        trial = step.move(length)
        flat = abs(trial.value - value) <= stopping.flat * max(stopping.scale, abs(value))
        if length < stopping.least_length:
            return None
        if trial.value <= value + ARMIJO * length * step.slope or flat:
            return trial
        length *= 0.5
