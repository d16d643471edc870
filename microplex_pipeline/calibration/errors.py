"""What can go wrong in a calibration, each with the names of the targets at fault."""

from __future__ import annotations

from collections.abc import Sequence


class CalibrationError(ValueError):
    """Targets or data that cannot be calibrated as they are."""


class InfeasibleTargets(CalibrationError):
    """No non-negative weights meet all targets.

    Attributes
    ----------
    targets : names of a set of targets that cannot hold together, none of them superfluous.
    """

    def __init__(self, message: str, targets: Sequence[str]) -> None:
        super().__init__(message)
        self.targets = list(targets)


class NotConverged(CalibrationError):
    """The solver stopped before the targets were met, though some weights could meet them."""
