"""Soft targets: how precisely a fit was asked to meet each of its targets."""

from __future__ import annotations

import numpy as np

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.constraints import Constraints
from microplex_pipeline.calibration.targets.precision import Precision
from microplex_pipeline.calibration.targets.table import listed


def asked_precision(constraints: Constraints, design: np.ndarray, soft: bool | float) -> Precision:
    """Return how precisely each of m rows is met, with standard errors in its units.

    Parameters
    ----------
    design : (n,) design weights.
    soft : False if all must be met exactly, True if as their rows say; a number is the tolerance, as a share
        of the value, of those that say nothing.

    Raises
    ------
    CalibrationError
        If no row says anything, and `soft` is True.
    """
    if soft is False:
        return Precision.exact(len(constraints.values))
    precision = constraints.row_precision(design)
    if soft is not True:
        asked = constraints.values if constraints.asked is None else constraints.asked
        sizes = np.where(constraints.ratios, np.abs(asked), constraints.sizes(design))
        return precision.with_tolerance(soft * sizes)
    if not (precision.penalized | precision.within).any():
        raise CalibrationError(
            "soft=True needs targets with a column standard_error, relative_standard_error, tolerance, "
            "at_least or at_most. Add one, or give a tolerance for all targets, e.g. soft=0.01"
        )
    return precision


def refuse_penalties(constraints: Constraints, precision: Precision) -> None:
    """Raise CalibrationError if a target is penalized, for a method that knows no penalties."""
    if precision.penalized.any():
        names = [constraints.names[i] for i in np.flatnonzero(precision.penalized)]
        raise CalibrationError(
            "sparsity='l0' meets targets exactly or within limits, but these have a standard error: "
            f"{listed(names)}. Give them a tolerance instead, or choose a distance"
        )
