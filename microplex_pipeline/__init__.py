"""Synthetic, calibrated survey microdata: a library and a Dagster project.

The names below are imported when they are first used, so that a process that needs one of them does not
load what the others need.
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
        expand,
    )
    from microplex_pipeline.synthesis import (
        HierarchicalSynthesizer,
        HouseholdSchema,
        Synthesizer,
        fuse,
    )

__version__ = "0.2.0"
__all__ = [
    "GeographicReweighter",
    "HierarchicalSynthesizer",
    "HouseholdSchema",
    "InfeasibleTargets",
    "Reweighter",
    "Synthesizer",
    "Targets",
    "expand",
    "fuse",
]

_HOMES = {
    "GeographicReweighter": "calibration",
    "HierarchicalSynthesizer": "synthesis",
    "HouseholdSchema": "synthesis",
    "InfeasibleTargets": "calibration",
    "Reweighter": "calibration",
    "Synthesizer": "synthesis",
    "Targets": "calibration",
    "expand": "calibration",
    "fuse": "synthesis",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
