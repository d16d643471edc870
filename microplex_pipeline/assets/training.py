"""What the three model assets share: configuration, and the frame that trains them."""

import dagster as dg
import numpy as np
import polars as pl
from pydantic import Field

from microplex_pipeline.survey import SurveySchema, model_frame
from microplex_pipeline.synthesis import Synthesizer, TrainingSettings

DEFAULTS = TrainingSettings()


class TrainingConfig(dg.Config):
    """Hyper-parameters of a network's training."""

    epochs: int = Field(DEFAULTS.epochs, description="passes over the records, at the most")
    batch_size: int = Field(DEFAULTS.batch_size, description="records a step")
    learning_rate: float = Field(DEFAULTS.learning_rate, description="peak learning rate")
    min_steps: int = Field(DEFAULTS.min_steps, description="small states get more epochs for it")
    seed: int = Field(0, description="decides initial weights, split and shuffling")

    def settings(self) -> TrainingSettings:
        """Return the library's settings."""
        return TrainingSettings(**self.model_dump(exclude={"seed"}))


def training_records(
    survey: pl.DataFrame, schema: SurveySchema
) -> tuple[pl.DataFrame, np.ndarray]:
    """Return the records that train a state's models, and their tempered weights."""
    synthesizer = Synthesizer(
        schema.model_columns, schema.condition_columns, schema.discrete_targets
    )
    return synthesizer.training_records(model_frame(survey, schema), schema.weight)
