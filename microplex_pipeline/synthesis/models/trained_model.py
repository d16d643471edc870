"""What the two models with trained networks share: parameters, training history, and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from microplex_pipeline.synthesis.fitted_model import FittedModel


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
