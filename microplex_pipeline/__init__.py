"""microplex_pipeline: synthetic, calibrated survey microdata, as a library and as a Dagster project.

The names below are imported when they are first used, so that a process that only loads the
pipeline's definitions pays for neither torch nor cvxpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microplex_pipeline.calibration import (
        GeographicReweighter,
        InfeasibleTargets,
        Reweighter,
        Targets,
    )
    from microplex_pipeline.synthesis import Synthesizer

__version__ = "0.1.0"
__all__ = ["GeographicReweighter", "InfeasibleTargets", "Reweighter", "Synthesizer", "Targets"]

_HOMES = {
    "GeographicReweighter": "calibration",
    "InfeasibleTargets": "calibration",
    "Reweighter": "calibration",
    "Synthesizer": "synthesis",
    "Targets": "calibration",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
