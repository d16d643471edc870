"""Synthesis of records: transforms, zero model, flow, and the Synthesizer that composes them.

This package depends neither on Dagster nor on any survey's columns or country. torch and scipy are
imported only when they are needed, so that importing the package stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microplex_pipeline.synthesis.copies import without_copies
    from microplex_pipeline.synthesis.fitted_model import FittedModel
    from microplex_pipeline.synthesis.fusion.fusion import Fusion, fuse
    from microplex_pipeline.synthesis.households.compositions import SynthesizedCompositions
    from microplex_pipeline.synthesis.households.hierarchical import HierarchicalSynthesizer
    from microplex_pipeline.synthesis.households.household_schema import HouseholdSchema
    from microplex_pipeline.synthesis.households.skeleton import resample_households
    from microplex_pipeline.synthesis.households.summaries import (
        Summary,
        draw_in_turn,
        summarized,
        with_earlier,
    )
    from microplex_pipeline.synthesis.imputation import imputed_shares
    from microplex_pipeline.synthesis.models.flow import Flow
    from microplex_pipeline.synthesis.models.training_settings import (
        FINE_TUNING,
        FineTuningSettings,
        PrivateTrainingSettings,
        TrainingSettings,
    )
    from microplex_pipeline.synthesis.models.zero_model import ZeroModel
    from microplex_pipeline.synthesis.prior import Prior
    from microplex_pipeline.synthesis.privacy.privacy_budget import PrivacyBudget
    from microplex_pipeline.synthesis.synthesizer import Synthesizer
    from microplex_pipeline.synthesis.transforms.identity_kinds import (
        Between,
        PartOf,
        Product,
        Sum,
    )
    from microplex_pipeline.synthesis.transforms.transformer import Transformer

__all__ = [
    "FINE_TUNING",
    "Between",
    "FineTuningSettings",
    "FittedModel",
    "Flow",
    "Fusion",
    "HierarchicalSynthesizer",
    "HouseholdSchema",
    "PartOf",
    "Prior",
    "PrivacyBudget",
    "PrivateTrainingSettings",
    "Product",
    "Sum",
    "Summary",
    "SynthesizedCompositions",
    "Synthesizer",
    "TrainingSettings",
    "Transformer",
    "ZeroModel",
    "draw_in_turn",
    "fuse",
    "imputed_shares",
    "resample_households",
    "summarized",
    "with_earlier",
    "without_copies",
]

# imported when they are first used: settings of a project need no numpy
_HOMES = {
    "FINE_TUNING": "models.training_settings",
    "Between": "transforms.identity_kinds",
    "FineTuningSettings": "models.training_settings",
    "FittedModel": "fitted_model",
    "Flow": "models.flow",
    "Fusion": "fusion.fusion",
    "HierarchicalSynthesizer": "households.hierarchical",
    "HouseholdSchema": "households.household_schema",
    "PartOf": "transforms.identity_kinds",
    "Prior": "prior",
    "PrivacyBudget": "privacy.privacy_budget",
    "PrivateTrainingSettings": "models.training_settings",
    "Product": "transforms.identity_kinds",
    "Sum": "transforms.identity_kinds",
    "Summary": "households.summaries",
    "SynthesizedCompositions": "households.compositions",
    "Synthesizer": "synthesizer",
    "TrainingSettings": "models.training_settings",
    "Transformer": "transforms.transformer",
    "ZeroModel": "models.zero_model",
    "draw_in_turn": "households.summaries",
    "fuse": "fusion.fusion",
    "imputed_shares": "imputation",
    "resample_households": "households.skeleton",
    "summarized": "households.summaries",
    "with_earlier": "households.summaries",
    "without_copies": "copies",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
