"""Shared by the assets of models: the unfitted synthesizer, its training records, its metadata."""

from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from microplex_pipeline.defs.assets.pictures import loss_chart, markdown_picture
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.survey import SurveySchema, completion_rules, model_frame
from microplex_pipeline.synthesis import Flow, Synthesizer, TrainingSettings, ZeroModel


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


def training_metadata(
    fitted: ZeroModel | Flow, records: pl.DataFrame, parameters: Parameters
) -> dict[str, Any]:
    """Return metadata on what a state's model was trained on, and how its training went."""
    history = pl.DataFrame(fitted.history)
    return {
        "records": records.height,
        "seed": parameters.seed,
        "parameters": parameters.fine_tuning.model_dump(),
        "epochs": int(history["epoch"].max()),  # type: ignore[arg-type]
        "loss_curve": dg.MetadataValue.md(markdown_picture("loss", loss_chart(history))),
    }
