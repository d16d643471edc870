"""The zero model: which amounts are zero, negative or positive, and which category holds, jointly."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.fitted_model import FittedModel
from microplex_pipeline.synthesis.stored_network import check_sizes
from microplex_pipeline.synthesis.target_transforms import UNKNOWN
from microplex_pipeline.synthesis.training import Progress, TrainingSettings, one_thread, train
from microplex_pipeline.synthesis.transformer import Transformer
from microplex_pipeline.synthesis.weights import tempered

if TYPE_CHECKING:
    from microplex_pipeline.synthesis.networks import StateNetwork, StateSteps

HIDDEN_PER_TARGET = 10


@dataclass(frozen=True)
class ZeroModel(FittedModel):
    """P(states | conditions) as a product of conditionals, one masked network for all targets.

    Attributes
    ----------
    n_context : columns of the encoded conditions.
    n_states : states of each target.
    parameters : the network's parameters by name.
    history : one row per check of the training.
    """

    kind: ClassVar[str] = "zero_model"

    n_context: int
    n_states: list[int]
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
        prior: ZeroModel | None = None,
        raking_records: float | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train on the states of `data`.

        Parameters
        ----------
        weights : (n,) survey weights. Shares are met by them as they are; the likelihood takes them
            tempered, by the settings' `weight_power`.
        raking_records : after training the intercepts are moved so that the mean probability of each
            state meets its weighted share, shrunk by so many pseudo-records: 10 by default, 50 with a
            prior, which knows better than a small area's shares.
        prior : a fitted model of a larger population to start from, with its transformer's encodings.
        """
        import torch

        from microplex_pipeline.synthesis.networks import (
            StateNetwork,
            parameters_of,
            set_parameters,
        )

        context, states = transformer.context(data), transformer.states(data)
        inputs = torch.from_numpy(np.column_stack([context, transformer.all_state_codes(states)]))
        target = torch.from_numpy(states)
        applies = transformer.all_apply(data, states)
        counted = torch.from_numpy(applies.astype(np.float32))
        _refuse_unknown(states, transformer)
        _refuse_broken_rules(states, applies, transformer)
        if prior is None:
            shares = [
                np.bincount(states[:, j], weights * applies[:, j], minlength=k) + 0.5
                for j, k in enumerate(transformer.n_states)
            ]
            base = np.concatenate([np.log(s / s.sum()) for s in shares])
        else:
            base = prior.parameters["base"]
        # hidden units are divided among the targets: many targets need many
        hidden = max(settings.hidden, HIDDEN_PER_TARGET * len(transformer.n_states))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = StateNetwork(
                context.shape[1], transformer.n_states,
                torch.tensor(base, dtype=torch.float32),
                hidden, settings.layers, settings.dropout,
            )  # fmt: skip
        if prior is not None:
            set_parameters(network, prior.parameters)
        x, y, counts = (t.to(settings.device) for t in (inputs, target, counted))
        history = train(
            network,
            lambda net, rows: net.negative_log_prob(x[rows], y[rows], counts[rows]),  # type: ignore[operator]
            tempered(weights, settings.weight_power), settings, seed, "zero model", progress,
        )  # fmt: skip
        pseudo = (
            raking_records if raking_records is not None else (10.0 if prior is None else 50.0)
        )
        _rake_intercepts(network, inputs, states, weights, applies, pseudo)
        return cls(
            context.shape[1], transformer.n_states, hidden, settings.layers,
            parameters_of(network), history,
        )  # fmt: skip

    @cached_property
    def network(self) -> StateNetwork:
        """The network, rebuilt from the parameters."""
        import torch

        from microplex_pipeline.synthesis.networks import StateNetwork, set_parameters

        base = torch.zeros(sum(self.n_states))
        with torch.random.fork_rng(devices=[]):
            network = StateNetwork(
                self.n_context, self.n_states, base, self.hidden, self.layers, 0.0
            )
        set_parameters(network, self.parameters)
        return network

    def steps(self, context: np.ndarray) -> StateSteps:
        """Return the state probabilities target by target, for encoded conditions (n, n_context)."""
        from microplex_pipeline.synthesis.networks import StateSteps

        return StateSteps(self.network, context)

    def log_prob(self, data: pl.DataFrame, transformer: Transformer) -> np.ndarray:
        """Return log P(states | conditions) of each record, nats, (n,); -inf for unseen states."""
        import torch

        states = transformer.states(data)
        unknown = (states == UNKNOWN).any(axis=1)
        states = np.where(states == UNKNOWN, 0, states)
        inputs = np.column_stack([transformer.context(data), transformer.all_state_codes(states)])
        applies = transformer.all_apply(data, states)
        zero = np.array([transformer.zero_state(j) for j in range(states.shape[1])])
        impossible = unknown | (~applies & (states != zero)).any(axis=1)
        with torch.no_grad(), one_thread():
            nll = self.network.negative_log_prob(
                torch.from_numpy(inputs),
                torch.from_numpy(states),
                torch.from_numpy(applies.astype(np.float32)),
            )
        return np.where(impossible, -np.inf, -nll.double().numpy())

    def architecture(self) -> dict[str, Any]:
        """JSON part: sizes and training history."""
        return {
            "n_context": self.n_context,
            "n_states": self.n_states,
            "hidden": self.hidden,
            "layers": self.layers,
            "history": self.history,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the network's parameters."""
        return self.parameters

    @classmethod
    def restore(cls, architecture: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild from `architecture` and `arrays`."""
        model = cls(parameters=arrays, **architecture)
        if arrays["base"].shape != (sum(model.n_states),) or min(model.n_states) < 1:
            raise ValueError(f"base is {arrays['base'].shape}, not ({sum(model.n_states)},)")
        inputs = model.n_context + sum(model.n_states) - len(model.n_states)
        check_sizes(arrays, inputs, model.hidden, model.layers)
        return model


def _rake_intercepts(
    network: StateNetwork,
    inputs: Any,
    states: np.ndarray,
    weights: np.ndarray,
    applies: np.ndarray,
    prior: float,
) -> None:
    """Calibration in the large: move intercepts until mean probabilities meet the shares."""
    import torch

    rounds = 4  # each round divides the gap by ten or so
    with torch.no_grad(), one_thread():
        for j, size in enumerate(network.n_states):
            rows = np.flatnonzero(applies[:, j])
            if size == 1 or not len(rows):
                continue
            w = weights[rows]
            effective = w.sum() ** 2 / (w**2).sum()
            share = np.bincount(states[rows, j], w, minlength=size) / w.sum()
            columns = slice(network.offsets[j], network.offsets[j + 1])
            seen = inputs[torch.from_numpy(rows)]
            for _ in range(rounds):
                p = network.logits_of(j, seen).double().softmax(-1).numpy()
                mean = np.average(p, axis=0, weights=w)
                goal = (effective * share + prior * mean) / (effective + prior)
                network.base[columns] += torch.tensor(np.log(goal / mean), dtype=torch.float32)


def _refuse_unknown(states: np.ndarray, transformer: Transformer) -> None:
    """Raise ValueError naming the target whose sign or category the prior never saw."""
    for variable, unknown in zip(transformer.target_vars, (states == UNKNOWN).T, strict=True):
        if unknown.any():
            raise ValueError(
                f"target {variable!r} has a sign or category in {unknown.sum()} records that the "
                "prior never saw: fit the prior on data that hold it"
            )


def _refuse_broken_rules(
    states: np.ndarray, applies: np.ndarray, transformer: Transformer
) -> None:
    """Raise ValueError naming a target that is other than zero where `only_where` rules it out."""
    for j, variable in enumerate(transformer.target_vars):
        broken = ~applies[:, j] & (states[:, j] != transformer.zero_state(j))
        if broken.any():
            raise ValueError(
                f"target {variable!r} is other than zero in {broken.sum()} records where only_where "
                f"({transformer.only_where[variable].column!r}) says that it cannot be"
            )
