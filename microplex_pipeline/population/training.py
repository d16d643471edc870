"""What a survey's models are trained on: the unfitted synthesizer and its records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from microplex_pipeline.survey import (
    SurveySchema,
    completion_frame,
    completion_rules,
    model_frame,
)
from microplex_pipeline.survey.declarations import UnitSummary
from microplex_pipeline.synthesis import (
    Summary,
    Synthesizer,
    TrainingSettings,
    summarized,
    with_earlier,
)


def synthesizer_of(
    schema: SurveySchema, settings: TrainingSettings | None = None, seed: int = 0
) -> Synthesizer:
    """Return the unfitted synthesizer of a survey's schema."""
    return Synthesizer(
        schema.model_columns,
        schema.unit_conditions,
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
        schema.completing_columns,
        schema.completion_columns,
        only_where=completion_rules(schema),
        settings=settings,
        seed=seed,
    )


def training_records(
    survey: pl.DataFrame, schema: SurveySchema
) -> tuple[pl.DataFrame, np.ndarray]:
    """Return the records that train a state's models, and their weights."""
    return synthesizer_of(schema).training_records(unit_frame(survey, schema), schema.weight)


def unit_frame(records: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Return what the models of units' amounts are trained on: `model_frame`, and what earlier units have.

    Parameters
    ----------
    records : with amounts, the units of a household in order.
    """
    earlier = with_earlier(records, summaries_of(schema.earlier_units), schema.household)
    return model_frame(records, schema).with_columns(earlier[s.name] for s in schema.earlier_units)


def later_frame(records: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Return what the models of later columns are trained on: `completion_frame`, of records with amounts."""
    household = schema.household
    of_all = summarized(records, summaries_of(schema.all_units), household)
    return completion_frame(records.join(of_all, on=household, maintain_order="left"), schema)


def summaries_of(declared: Sequence[UnitSummary]) -> dict[str, Summary]:
    """Return a schema's summaries, by name."""
    return {s.name: Summary(s.take, tuple(s.of)) for s in declared}
