"""What the model assets share: configuration, and the records that train them."""

import dagster as dg
import numpy as np
import polars as pl
from pydantic import Field

from microplex_pipeline.survey import SurveySchema, model_frame
from microplex_pipeline.synthesis import FINE_TUNING, Synthesizer, TrainingSettings

DEFAULTS = TrainingSettings()


class TrainingConfig(dg.Config):
    """Hyper-parameters of a network's training from the start."""

    epochs: int = Field(DEFAULTS.epochs, description="passes over the records, at the most")
    batch_size: int = Field(DEFAULTS.batch_size, description="records a step")
    learning_rate: float = Field(DEFAULTS.learning_rate, description="peak learning rate")
    min_steps: int = Field(DEFAULTS.min_steps, description="few records get more epochs for it")
    seed: int = Field(0, description="decides initial weights, split and shuffling")

    def settings(self) -> TrainingSettings:
        """Return the library's settings."""
        return TrainingSettings(**{k: getattr(self, k) for k in TRAINING_FIELDS})


class FineTuningConfig(TrainingConfig):
    """Hyper-parameters of a state's fine-tuning of the nation's networks."""

    epochs: int = Field(FINE_TUNING.epochs, description="passes over the records, at the most")
    learning_rate: float = Field(FINE_TUNING.learning_rate, description="peak learning rate")
    min_steps: int = Field(FINE_TUNING.min_steps, description="few records get more epochs for it")


TRAINING_FIELDS = ("epochs", "batch_size", "learning_rate", "min_steps")


def synthesizer_of(schema: SurveySchema, config: TrainingConfig | None = None) -> Synthesizer:
    """Return the unfitted synthesizer of a survey's schema."""
    return Synthesizer(
        schema.model_columns,
        schema.condition_columns,
        schema.discrete_targets,
        only_where=schema.only_where,
        settings=config.settings() if config else None,
        seed=config.seed if config else 0,
    )


def training_records(
    survey: pl.DataFrame, schema: SurveySchema
) -> tuple[pl.DataFrame, np.ndarray]:
    """Return the records that train a state's models, and their weights."""
    return synthesizer_of(schema).training_records(model_frame(survey, schema), schema.weight)
