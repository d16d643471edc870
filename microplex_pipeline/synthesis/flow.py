"""The flow: exact conditional density of the non-zero magnitudes, one after the other.

Each magnitude x of target j and sign s goes to rank space by its marginal G, where the whole number x
owns the cell [G(x - 1/2), G(x + 1/2)]. A network gives, from the conditions, the states of all
targets and the ranks of the targets before j, a density on equal bins of rank space; the probability
of a cell is the sum over bins of probability times overlap. That is exact: no dequantization bound,
and an inactive target leaves the likelihood of its row instead of taking the row out of the data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.fitted_model import FittedModel
from microplex_pipeline.synthesis.stored_network import check_sizes
from microplex_pipeline.synthesis.target_transforms import AmountTransform
from microplex_pipeline.synthesis.training import Progress, TrainingSettings, one_thread, train
from microplex_pipeline.synthesis.transformer import Transformer
from microplex_pipeline.synthesis.weights import tempered

if TYPE_CHECKING:
    from microplex_pipeline.synthesis.networks import RankDensity

BINS = 32
MIN_RECORDS = 25


@dataclass(frozen=True)
class Flow(FittedModel):
    """Conditional densities of magnitudes, by target and sign.

    Attributes
    ----------
    inputs : columns that each fitted density sees, by "variable/sign". A pair that is absent had
        fewer than MIN_RECORDS records, and keeps its marginal distribution.
    parameters : the networks' parameters, by "variable/sign/name".
    history : one row per check of the training.
    """

    kind: ClassVar[str] = "flow"

    inputs: dict[str, int]
    hidden: int
    layers: int
    parameters: dict[str, np.ndarray] = field(repr=False)
    history: list[dict[str, Any]] = field(repr=False)

    @classmethod
    def fit(
        cls,
        data: pl.DataFrame,
        transformer: Transformer,
        weights: np.ndarray,
        settings: TrainingSettings,
        seed: int,
        *,
        prior: Flow | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train one density per target and sign.

        Parameters
        ----------
        weights : (n,) survey weights; the likelihood takes them to the power `settings.weight_power`.
        prior : a fitted flow of a larger population: its densities are trained on, where there are
            MIN_RECORDS records to do so, and kept as they are elsewhere.
        """
        import torch

        from microplex_pipeline.synthesis.networks import (
            RankDensity,
            parameters_of,
            set_parameters,
        )

        context = transformer.context(data)
        state_codes = transformer.all_state_codes(transformer.states(data))
        amount_codes: list[np.ndarray] = []
        inputs: dict[str, int] = {}
        parameters: dict[str, np.ndarray] = {}
        history: list[dict[str, Any]] = []
        for variable, transform in transformer.transformers_.items():
            if not isinstance(transform, AmountTransform):
                continue
            grid = transform.grid(data[variable])
            for sign, marginal in transform.marginals.items():
                rows = np.flatnonzero(np.sign(grid) == sign)
                key = f"{variable}/{sign}"
                if prior is not None and key not in prior.inputs:
                    continue
                if len(rows) < MIN_RECORDS:
                    if prior is not None:
                        inputs[key] = prior.inputs[key]
                        parameters |= prior.parameters_of(key, f"{key}/")
                    continue
                x = torch.from_numpy(
                    np.column_stack([a[rows] for a in (context, state_codes, *amount_codes)])
                ).to(settings.device)
                cells = bin_overlap(*marginal.cell(np.abs(grid[rows])))
                y = torch.from_numpy(np.log(cells + 1e-12).astype(np.float32)).to(settings.device)
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(seed + 1)
                    network = RankDensity(
                        x.shape[1],
                        BINS,
                        settings.density_hidden,
                        settings.layers,
                        settings.dropout,
                    )
                if prior is not None:
                    set_parameters(network, prior.parameters_of(key))

                def loss(net: Any, i: Any, x: Any = x, y: Any = y) -> Any:
                    return net.negative_log_prob(x[i], y[i])

                history += train(
                    network, loss, tempered(weights[rows], settings.weight_power), settings, seed + 1,
                    f"{variable} {'>' if sign > 0 else '<'} 0", progress,
                )  # fmt: skip
                inputs[key] = x.shape[1]
                parameters |= {f"{key}/{k}": a for k, a in parameters_of(network).items()}
            amount_codes.append(transform.code(grid))
        return cls(inputs, settings.density_hidden, settings.layers, parameters, history)

    @cached_property
    def networks(self) -> dict[str, RankDensity]:
        """The fitted networks by "variable/sign", rebuilt from the parameters."""
        import torch

        from microplex_pipeline.synthesis.networks import RankDensity, set_parameters

        networks = {}
        with torch.random.fork_rng(devices=[]):
            for key, n_inputs in self.inputs.items():
                networks[key] = RankDensity(n_inputs, BINS, self.hidden, self.layers, 0.0)
                set_parameters(networks[key], self.parameters_of(key))
        return networks

    def parameters_of(self, key: str, prefix: str = "") -> dict[str, np.ndarray]:
        """Return the parameters of one density by name, with a prefix put before the names."""
        return {
            prefix + name.removeprefix(f"{key}/"): array
            for name, array in self.parameters.items()
            if name.startswith(f"{key}/")
        }

    def bin_probabilities(
        self, variable: str, sign: int, rows: np.ndarray, parts: list[np.ndarray]
    ) -> np.ndarray:
        """Return the probabilities of the rank bins, (len(rows), BINS), float64.

        `parts` are context, state codes and the codes of the amounts before this one, each (n, .).
        """
        import torch

        network = self.networks.get(f"{variable}/{sign}")
        if network is None:
            return np.full((len(rows), BINS), 1 / BINS)
        x = torch.from_numpy(np.column_stack([a[rows] for a in parts]))
        with torch.no_grad(), one_thread():
            p = network(x).double().exp().numpy()
        return p / p.sum(axis=1, keepdims=True)

    def log_prob(self, data: pl.DataFrame, transformer: Transformer) -> np.ndarray:
        """Return the log-density of each record's magnitudes given conditions and states, (n,).

        In nats and data units: log P(cell) - log(resolution) for each non-zero amount. -inf where a
        magnitude lies beyond the fitted tail.
        """
        states = transformer.states(data)
        parts = [transformer.context(data), transformer.all_state_codes(states)]
        result = np.zeros(data.height)
        for variable, transform in transformer.transformers_.items():
            if not isinstance(transform, AmountTransform):
                continue
            grid = transform.grid(data[variable])
            for sign, marginal in transform.marginals.items():
                rows = np.flatnonzero(np.sign(grid) == sign)
                if len(rows):
                    p = self.bin_probabilities(variable, sign, rows, parts)
                    cells = bin_overlap(*marginal.cell(np.abs(grid[rows])))
                    with np.errstate(divide="ignore"):
                        result[rows] += np.log((p * cells).sum(axis=1))
                    result[rows] -= np.log(transform.resolution)
            parts.append(transform.code(grid))
        return result

    def architecture(self) -> dict[str, Any]:
        """JSON part: sizes and training history."""
        return {
            "inputs": self.inputs,
            "hidden": self.hidden,
            "layers": self.layers,
            "history": self.history,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the networks' parameters."""
        return self.parameters

    @classmethod
    def restore(cls, architecture: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild from `architecture` and `arrays`."""
        model = cls(parameters=arrays, **architecture)
        for key, inputs in model.inputs.items():
            check_sizes(model.parameters_of(key), inputs, model.hidden, model.layers)
        return model


def bin_overlap(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the length of rank cells [low, high] inside each bin over the bin's width, (n, BINS)."""
    edges = np.arange(BINS + 1) / BINS
    length = np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1])
    return length.clip(min=0) * BINS
