"""What the two models with trained networks share: parameters, training history, and their checks."""

from __future__ import annotations

from collections.abc import Mapping
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


def check_sizes(arrays: Mapping[str, np.ndarray], inputs: int, hidden: int, layers: int) -> None:
    """Check a stored network's sizes against its arrays, before memory is allocated for it.

    The network has layers hidden.0, hidden.1, ... and out. Its sizes must be those of its arrays, so
    that a forged size costs no memory.

    Raises
    ------
    ValueError
        If arrays are missing, or the sizes do not match them.
    """
    weights = [name for name in arrays if name.startswith("hidden.") and name.endswith(".weight")]
    if len(weights) != layers or not layers:
        raise ValueError(f"{layers!r} hidden layers, but arrays for {len(weights)}")
    found = arrays["hidden.0.weight"].shape
    if found != (hidden, inputs):
        raise ValueError(f"hidden.0.weight has shape {found}, not {(hidden, inputs)}")
