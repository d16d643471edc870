"""Hyper-parameters of the networks and of their training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class TrainingSettings(BaseModel):
    """Hyper-parameters of the networks and their training; defaults suit 200 to 300,000 records."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epochs: int = Field(40, ge=1, description="largest number of passes over the data")
    batch_size: int = Field(512, ge=1, description="records per step")
    learning_rate: float = Field(6e-3, gt=0, description="peak of the one-cycle schedule")
    min_steps: int = Field(
        250, ge=0, description="small data get more epochs, up to this many steps"
    )
    patience: int = Field(8, ge=1, description="checks without improvement before stopping")
    validation_share: float = Field(0.15, gt=0, lt=1, description="rows held out for stopping")
    weight_decay: float = Field(1e-2, ge=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    averaging: float = Field(0.99, ge=0, lt=1, description="decay of the averaged parameters")
    weight_power: float = Field(
        0.5, ge=0, le=1, description="survey weights enter the networks' likelihood to this power"
    )
    device: str = Field("cpu", description="torch device to train on, e.g. cpu or cuda")
    hidden: int = Field(128, ge=1, description="units per layer of the zero model, at least")
    density_hidden: int = Field(
        64, ge=1, description="units per layer of each magnitude's density"
    )
    layers: int = Field(2, ge=1, description="hidden layers")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show only the settings that differ from their defaults."""
        fields = type(self).model_fields
        return (
            (name, value)
            for name, value in super().__repr_args__()
            if name is None or value != fields[name].default
        )


class FineTuningSettings(TrainingSettings):
    """The same settings, with defaults for fine-tuning a prior's networks."""

    epochs: int = Field(15, ge=1, description="largest number of passes over the data")
    learning_rate: float = Field(2e-4, gt=0, description="peak of the one-cycle schedule")
    min_steps: int = Field(
        0, ge=0, description="small data get more epochs, up to this many steps"
    )


class PrivateTrainingSettings(TrainingSettings):
    """The same settings, with defaults for training under a privacy budget: few steps of large batches."""

    epochs: int = Field(30, ge=1, description="passes over the data, on average")
    batch_size: int = Field(1024, ge=1, description="records per step, on average")
    learning_rate: float = Field(2e-3, gt=0, description="peak of the one-cycle schedule")


FINE_TUNING = FineTuningSettings()
PRIVATE_TRAINING = PrivateTrainingSettings()
