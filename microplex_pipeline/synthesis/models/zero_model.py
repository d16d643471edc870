"""The zero model: joint model of the amounts' signs (zero, negative, positive) and of the categories."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.models.class_records import class_records, log_shares
from microplex_pipeline.synthesis.models.stored_networks import StoredZeroModel
from microplex_pipeline.synthesis.models.torch_state import one_thread, seeded
from microplex_pipeline.synthesis.models.trained_model import TrainedModel
from microplex_pipeline.synthesis.models.training_settings import TrainingSettings
from microplex_pipeline.synthesis.models.weights import tempered
from microplex_pipeline.synthesis.stored_form import Stored, require_arrays
from microplex_pipeline.synthesis.transforms.target_transforms import UNKNOWN
from microplex_pipeline.synthesis.transforms.transformer import Transformer

if TYPE_CHECKING:
    from microplex_pipeline.synthesis.models.networks import ClassNetwork, ClassSteps
    from microplex_pipeline.synthesis.models.training import Progress

HIDDEN_PER_TARGET = 10  # hidden units are divided among the targets: many targets need many units
CONTEXT_UNITS = 64  # hidden units of the conditions alone, e.g. for who does not work
RAKING_RECORDS = 10.0
RAKING_RECORDS_WITH_PRIOR = 50.0  # a prior knows better than a small area's shares
RAKING_ROUNDS = 4  # each round divides the gap by about ten


@dataclass(frozen=True, repr=False)
class ZeroModel(TrainedModel):
    """P(classes | conditions) as a product of conditionals, one masked network for all targets.

    Attributes
    ----------
    n_context : number of columns of the encoded conditions.
    context_units : number of hidden units that depend on the conditions alone.
    n_classes : number of classes of each target.
    zeros : index of each target's class zero; -1 if it has none, as a category.
    unobserved : whether some values of each target were not observed.
    hidden, layers, parameters, history : see `TrainedModel`.
    """

    kind: ClassVar[str] = "zero_model"
    form: ClassVar[type[Stored]] = StoredZeroModel

    n_context: int
    context_units: int
    n_classes: list[int]
    zeros: list[int]
    unobserved: list[bool]

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
        factors: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train on the classes of `data`.

        Parameters
        ----------
        data : (n, ...) training records.
        transformer : encodes conditions and targets.
        weights : (n,) survey weights. The classes' shares are met with the full weights; the likelihood
            uses tempered weights, see the settings' `weight_power`.
        settings : hyper-parameters.
        seed : decides initial parameters, split, shuffling and dropout.
        prior : a fitted model of a larger population to start from, whose sizes are kept; `transformer`
            must have its encodings.
        raking_records : after training, the intercepts are moved so that the mean probability of each
            class meets its weighted share, shrunk by this many pseudo-records. None for the default: 10,
            or 50 with a prior.
        factors : (n,) positive factors of a bootstrap replicate. They multiply the weights and, unlike
            them, enter the likelihood untempered: the replicate counts the record so many times.
        progress : called with a message when training ends.

        Raises
        ------
        ValueError
            If the data contain a class unknown to the prior, or break an `only_where` rule.
        """
        import torch

        if prior is not None:
            sizes = {"hidden": prior.hidden - prior.context_units, "layers": prior.layers}
            settings = settings.model_copy(update=sizes)
        records = class_records(data, transformer)
        _, classes, applies, possible = records
        inputs = torch.from_numpy(records.inputs)
        likelihood = tempered(weights, settings.weight_power)
        if factors is not None:
            weights, likelihood = weights * factors, likelihood * factors
        shares = log_shares(classes, weights, applies, transformer.n_classes)
        network = new_network(transformer, shares, settings, seed, prior)
        history = _train(
            network, inputs, classes, applies, possible, likelihood, settings, seed, progress
        )
        if raking_records is None:
            raking_records = RAKING_RECORDS if prior is None else RAKING_RECORDS_WITH_PRIOR
        _rake_intercepts(network, inputs, classes, weights, applies, possible, raking_records)
        return cls.of_network(network, transformer, settings, history)

    @classmethod
    def of_network(
        cls,
        network: ClassNetwork,
        transformer: Transformer,
        settings: TrainingSettings,
        history: list[dict[str, Any]],
    ) -> Self:
        """Take over the parameters of a trained network."""
        from microplex_pipeline.synthesis.models.networks import parameters_of

        return cls(
            n_context=network.n_context,
            context_units=network.context_units,
            n_classes=transformer.n_classes,
            zeros=network.zeros,
            unobserved=transformer.unobserved,
            hidden=len(network.degrees),
            layers=settings.layers,
            parameters=parameters_of(network),
            history=history,
        )

    @cached_property
    def network(self) -> ClassNetwork:
        """The network, rebuilt from the parameters."""
        import torch

        from microplex_pipeline.synthesis.models.networks import ClassNetwork, set_parameters

        base = torch.zeros(sum(self.n_classes))
        with torch.random.fork_rng(devices=[]):
            network = ClassNetwork(
                self.n_context, self.n_classes, self.zeros, base, self.hidden, self.context_units,
                self.layers, 0.0, self.unobserved,
            )  # fmt: skip
        set_parameters(network, self.parameters)
        return network

    def steps(self, context: np.ndarray) -> ClassSteps:
        """Return the class probabilities target by target, for encoded conditions (n, n_context)."""
        from microplex_pipeline.synthesis.models.networks import ClassSteps

        return ClassSteps(self.network, context)

    def log_prob(self, data: pl.DataFrame, transformer: Transformer) -> np.ndarray:
        """Return log P(classes | conditions) of each record, in nats, (n,).

        Without the terms of values that were not observed. -inf for classes that did not occur in
        training, and for amounts that break an `only_where` rule.
        """
        import torch

        classes = transformer.classes(data)
        unknown = (classes == UNKNOWN).any(axis=1)
        classes = np.where(classes == UNKNOWN, 0, classes)
        inputs = np.column_stack([transformer.context(data), transformer.encode_classes(classes)])
        observed = classes < np.array(self.n_classes)
        applies = transformer.all_apply(data, classes)
        zero = np.array(self.zeros)
        impossible = unknown | (~applies & observed & (classes != zero)).any(axis=1)
        possible = transformer.all_possible(classes)
        if possible is not None:
            offsets = np.cumsum([0, *self.n_classes[:-1]])
            chosen = np.take_along_axis(possible, offsets + np.where(observed, classes, 0), axis=1)
            impossible |= ~chosen.all(axis=1)
        with torch.no_grad(), one_thread():
            nll = self.network.negative_log_prob(
                torch.from_numpy(inputs),
                torch.from_numpy(np.where(observed, classes, 0)),
                torch.from_numpy((applies & observed).astype(np.float32)),
                None if possible is None else torch.from_numpy(possible),
            )
        return np.where(impossible, -np.inf, -nll.double().numpy())

    def _counts(self) -> dict[str, int]:
        return {
            "targets": len(self.n_classes),
            "classes": sum(self.n_classes),
            "context": self.n_context,
        }

    def architecture(self) -> dict[str, Any]:
        """Return the JSON part: sizes and training history."""
        sizes = {
            "n_context": self.n_context,
            "context_units": self.context_units,
            "n_states": self.n_classes,
        }
        return {
            **super().architecture(), **sizes, "zeros": self.zeros, "unobserved": self.unobserved,
        }  # fmt: skip

    @classmethod
    def restore(cls, stored: StoredZeroModel, arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild from the stored form and `arrays`."""
        require_arrays(arrays, stored.expected())
        return cls(
            n_context=stored.n_context,
            context_units=stored.context_units,
            n_classes=list(stored.n_states),
            zeros=list(stored.zeros),
            unobserved=list(stored.unobserved),
            hidden=stored.hidden,
            layers=stored.layers,
            parameters=arrays,
            history=stored.history_rows(),
        )


def new_network(
    transformer: Transformer,
    shares: np.ndarray,
    settings: TrainingSettings,
    seed: int,
    prior: ZeroModel | None = None,
) -> ClassNetwork:
    """Return a network to train, which starts from the classes' log-shares or from the prior."""
    import torch

    from microplex_pipeline.synthesis.models.networks import ClassNetwork, set_parameters

    n_classes = transformer.n_classes
    hidden = CONTEXT_UNITS + max(settings.hidden, HIDDEN_PER_TARGET * len(n_classes))
    with seeded(seed):
        network = ClassNetwork(
            transformer.n_context, n_classes, transformer.zero_classes,
            torch.tensor(shares, dtype=torch.float32), hidden, CONTEXT_UNITS, settings.layers,
            settings.dropout, transformer.unobserved,
        )  # fmt: skip
    if prior is not None:
        set_parameters(network, prior.parameters)
    return network


def _train(
    network: ClassNetwork,
    inputs: Any,
    classes: np.ndarray,
    applies: np.ndarray,
    possible: np.ndarray | None,
    weights: np.ndarray,
    settings: TrainingSettings,
    seed: int,
    progress: Progress | None,
) -> list[dict[str, Any]]:
    """Train the network on the settings' device; return the history."""
    import torch

    from microplex_pipeline.synthesis.models.training import train

    x = inputs.to(settings.device)
    y = torch.from_numpy(classes).to(settings.device)
    counts = torch.from_numpy(applies.astype(np.float32)).to(settings.device)
    can_be = None if possible is None else torch.from_numpy(possible).to(settings.device)
    return train(
        network,
        lambda net, rows: net.negative_log_prob(  # type: ignore[operator]
            x.index_select(0, rows), y.index_select(0, rows), counts.index_select(0, rows),
            None if can_be is None else can_be.index_select(0, rows),
        ),
        weights, settings, seed, "zero model", progress,
    )  # fmt: skip


def _rake_intercepts(
    network: ClassNetwork,
    inputs: Any,
    classes: np.ndarray,
    weights: np.ndarray,
    applies: np.ndarray,
    possible: np.ndarray | None,
    pseudo_records: float,
) -> None:
    """Calibrate in the large: move intercepts until mean probabilities meet the weighted shares.

    An intercept moves the logits of its own class and no others, so the network is evaluated once.
    """
    import torch

    with torch.no_grad(), one_thread():
        logits = network(inputs).double()
        if possible is not None:
            logits = logits.masked_fill(torch.from_numpy(~possible), -torch.inf)
        for j, size in enumerate(network.n_classes):
            rows = np.flatnonzero(applies[:, j])
            if size == 1 or not len(rows):
                continue
            w = weights[rows]
            effective = w.sum() ** 2 / (w**2).sum()
            share = np.bincount(classes[rows, j], w, minlength=size) / w.sum()
            columns = slice(network.offsets[j], network.offsets[j + 1])
            own, moved = logits[torch.from_numpy(rows), columns], torch.zeros(size).double()
            for _ in range(RAKING_ROUNDS):
                mean = np.average((own + moved).softmax(-1).numpy(), axis=0, weights=w)
                goal = (effective * share + pseudo_records * mean) / (effective + pseudo_records)
                ratio = np.divide(
                    goal, mean, out=np.ones(size), where=mean > 0
                )  # none has such a tie
                moved += torch.from_numpy(np.log(ratio))
            network.base[columns] += moved.float()
