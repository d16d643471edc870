"""Errors of calibration, which name the targets at fault."""

from __future__ import annotations

from collections.abc import Sequence


class CalibrationError(ValueError):
    """Targets or records that cannot be used as they are."""


class InfeasibleTargets(CalibrationError):
    """No non-negative weights meet all targets.

    Attributes
    ----------
    targets : names of a smallest set of targets that cannot hold together: without any one of them the
        others can.
    """

    def __init__(self, message: str, targets: Sequence[str]) -> None:
        super().__init__(message)
        self.targets = list(targets)


class NotConverged(CalibrationError):
    """The solver stopped before the targets were met, although some weights may meet them."""


class MissedTargets(UserWarning):
    """Targets are missed by more than two of their standard errors, or whole weights leave limits."""
