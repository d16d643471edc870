"""Checks of the estimators' parameters, with one message for each kind of fault."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise ValueError unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def check_between_0_and_1(name: str, value: float) -> None:
    """Raise ValueError unless the value lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, not {value}")


def check_soft(soft: object) -> None:
    """Raise ValueError unless it is True, False or a tolerance above 0."""
    if not isinstance(soft, bool) and not (
        isinstance(soft, int | float | np.number) and 0 < float(soft) < np.inf
    ):
        raise ValueError(f"soft must be True, False or a tolerance above 0, not {soft!r}")


def check_positive_integer(name: str, value: int) -> None:
    """Raise ValueError unless the value is a positive integer."""
    if isinstance(value, bool) or not (isinstance(value, int | np.integer) and value >= 1):
        raise ValueError(f"{name} must be a positive integer, not {value!r}")


def check_bounds(name: str, value: tuple[float, float], unbounded_above: bool) -> None:
    """Raise ValueError unless the value is two numbers with 0 <= low < 1 < high."""
    if not (
        isinstance(value, tuple | list)
        and len(value) == 2
        and all(isinstance(end, int | float) for end in value)
        and 0 <= value[0] < 1 < value[1]
        and (unbounded_above or np.isfinite(value[1]))
    ):
        finite = "" if unbounded_above else " and high finite"
        raise ValueError(
            f"{name} must be two numbers with 0 <= low < 1 < high{finite}, not {value!r}"
        )
