"""What the two models with trained networks share: parameters, training history, and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from microplex_pipeline.synthesis.fitted_model import FittedModel
from microplex_pipeline.synthesis.stored_form import Expected, Listed, Size, Stored, Text

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


@dataclass(frozen=True, repr=False)
class TrainedModel(FittedModel):
    """A fitted part made of networks.

    Attributes
    ----------
    hidden : units per hidden layer.
    layers : number of hidden layers.
    parameters : the networks' parameters by name.
    history : one row per check of the training: network, epoch, train_loss, validation_loss.
    """

    hidden: int
    layers: int
    parameters: dict[str, np.ndarray]
    history: list[dict[str, Any]]

    @property
    def n_parameters(self) -> int:
        """Number of parameters of all networks."""
        return sum(array.size for array in self.parameters.values())

    @property
    def held_out_loss(self) -> float:
        """Best loss on the held-out rows, nats per record; the mean over networks if there are several.

        NaN if no network was trained.
        """
        best: dict[str, float] = {}
        for check in self.history:
            network, loss = check["network"], check["validation_loss"]
            best[network] = min(loss, best.get(network, loss))
        return float(np.mean(list(best.values()))) if best else float("nan")

    def __repr__(self) -> str:
        """Sizes of the networks, and how well they fit held-out rows."""
        shown = {
            **self._counts(),
            "layers": self.layers,
            "hidden": self.hidden,
            "parameters": self.n_parameters,
            "held_out_loss": f"{self.held_out_loss:.4f}",
        }
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in shown.items())})"

    def _counts(self) -> dict[str, int]:
        """Return what the repr counts first."""
        return {}

    def architecture(self) -> dict[str, Any]:
        """Return the JSON part: sizes and training history."""
        return {"hidden": self.hidden, "layers": self.layers, "history": self.history}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the networks' parameters."""
        return self.parameters


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
