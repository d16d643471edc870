"""What a survey's models are trained on: the unfitted synthesizer and its records."""

from __future__ import annotations

import numpy as np
import polars as pl

from microplex_pipeline.survey import SurveySchema, completion_rules, model_frame
from microplex_pipeline.synthesis import Synthesizer, TrainingSettings


def synthesizer_of(
    schema: SurveySchema, settings: TrainingSettings | None = None, seed: int = 0
) -> Synthesizer:
    """Return the unfitted synthesizer of a survey's schema."""
    return Synthesizer(
        schema.model_columns,
        schema.condition_columns,
        schema.discrete_targets,
        only_where=schema.only_where,
        settings=settings,
        seed=seed,
    )


def completion_synthesizer(
    schema: SurveySchema, settings: TrainingSettings | None = None, seed: int = 0
) -> Synthesizer:
    """Return the unfitted synthesizer of the columns that are drawn after the amounts."""
    return Synthesizer(
        schema.drawn_columns,
        schema.completion_columns,
        only_where=completion_rules(schema),
        settings=settings,
        seed=seed,
    )


def training_records(
    survey: pl.DataFrame, schema: SurveySchema
) -> tuple[pl.DataFrame, np.ndarray]:
    """Return the records that train a state's models, and their weights."""
    return synthesizer_of(schema).training_records(model_frame(survey, schema), schema.weight)
