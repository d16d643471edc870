"""Calibration of weights to population targets: targets, constraints, one solver per file.

Nothing here imports Dagster, and cvxpy is imported only when its backend is used.
"""

from microplex_pipeline.calibration.areas.geographic_reweighter import GeographicReweighter
from microplex_pipeline.calibration.bootstrap_weights import bootstrap_weights
from microplex_pipeline.calibration.errors import (
    CalibrationError,
    InfeasibleTargets,
    MissedTargets,
    NotConverged,
)
from microplex_pipeline.calibration.replicate_weights import (
    calibrate_replicates,
    replicate_standard_error,
)
from microplex_pipeline.calibration.reweighter import Reweighter
from microplex_pipeline.calibration.rounding.expand import expand
from microplex_pipeline.calibration.targets.constraints import Constraints, build_constraints
from microplex_pipeline.calibration.targets.table import Targets

__all__ = [
    "CalibrationError",
    "Constraints",
    "GeographicReweighter",
    "InfeasibleTargets",
    "MissedTargets",
    "NotConverged",
    "Reweighter",
    "Targets",
    "bootstrap_weights",
    "build_constraints",
    "calibrate_replicates",
    "expand",
    "replicate_standard_error",
]
