"""The declared form of the zero model and the flow as they are stored: sizes, history, parameters."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from microplex_pipeline.synthesis.stored_form import (
    LARGEST_SIZE,
    Expected,
    Listed,
    Size,
    Stored,
    Text,
)

BINS = 32  # of a magnitude's rank
BUMPS = 8  # smooth functions of the rank, see `RankDensity`
MOST_LAYERS = 1000

Loss = Annotated[float, Field(ge=-1e40, le=1e40)]  # networks compute with 32 bits


class StoredCheck(Stored):
    """One row of a training history."""

    network: Text
    epoch: Annotated[int, Field(ge=0, lt=2**63)]
    train_loss: Loss | None
    validation_loss: Loss


class StoredNetworks(Stored):
    """What `TrainedModel` stores, beside the parameters."""

    hidden: Size
    layers: Annotated[int, Field(ge=1, le=MOST_LAYERS)]
    history: Listed[StoredCheck]

    def history_rows(self) -> list[dict[str, Any]]:
        """Return the training history."""
        return [check.model_dump() for check in self.history]


class StoredZeroModel(StoredNetworks):
    """A `ZeroModel` as it is stored, beside its parameters."""

    n_context: Size
    context_units: Annotated[int, Field(ge=0, le=LARGEST_SIZE)]
    n_states: Annotated[Listed[Size], Field(min_length=1)]
    zeros: Listed[Annotated[int, Field(ge=-1, le=LARGEST_SIZE)]]
    unobserved: Listed[bool]

    @model_validator(mode="after")
    def _zeros_are_classes(self) -> Self:
        if self.context_units > self.hidden:
            raise ValueError("context_units must not be more than hidden")
        if len(self.zeros) != len(self.n_states) or any(
            zero >= k for zero, k in zip(self.zeros, self.n_states, strict=False)
        ):
            raise ValueError("zeros must name a class of each target, or -1")
        if len(self.unobserved) != len(self.n_states):
            raise ValueError("unobserved must say true or false of each target")
        return self

    def expected(self) -> dict[str, Expected]:
        """Return the arrays of its network by name."""
        outputs = sum(self.n_states)
        inputs = self.n_context + outputs - len(self.n_states) + sum(self.unobserved)
        return {
            "base": Expected((outputs,), np.float32),
            **layer_shapes(inputs, self.hidden, self.layers),
            **linear_shapes("out", self.hidden, outputs),
            **linear_shapes("skip", inputs, outputs),
            **linear_shapes("nothing_else", self.n_context, outputs),
        }


class StoredFlow(StoredNetworks):
    """A `Flow` as it is stored, beside its parameters."""

    inputs: dict[Text, Size]

    def expected(self) -> dict[str, Expected]:
        """Return the arrays of its networks, by "variable/sign/name"."""
        return {
            f"{key}/{name}": array
            for key, inputs in self.inputs.items()
            for name, array in {
                **layer_shapes(inputs, self.hidden, self.layers),
                **linear_shapes("out", self.hidden, BINS + BUMPS + 1),
            }.items()
        }


def layer_shapes(inputs: int, hidden: int, layers: int) -> dict[str, Expected]:
    """Return the arrays of a network's hidden layers by name, without making the network."""
    widths = [inputs] + [hidden] * (layers - 1)
    shapes: dict[str, Expected] = {}
    for number, width in enumerate(widths):
        shapes |= linear_shapes(f"hidden.{number}", width, hidden)
    return shapes


def linear_shapes(name: str, inputs: int, outputs: int) -> dict[str, Expected]:
    """Return the arrays of one linear layer by name."""
    return {
        f"{name}.weight": Expected((outputs, inputs), np.float32),
        f"{name}.bias": Expected((outputs,), np.float32),
    }
