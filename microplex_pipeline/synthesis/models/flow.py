"""The flow: exact conditional density of the non-zero magnitudes, one after the other.

Each magnitude x of target j and sign s goes to rank space by its marginal G, where the whole number x
owns the cell [G(x - 1/2), G(x + 1/2)]. Given the conditions, the classes of all targets and the ranks of
the targets before j, a network returns a density on equal bins of rank space. The probability of a cell
is the sum over bins of probability times overlap. That is exact: there is no dequantization bound, and a
target that is zero drops out of the likelihood of its record, while the record stays in the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.fitted_model import arrays_under
from microplex_pipeline.synthesis.models.stored_networks import BINS, BUMPS, StoredFlow
from microplex_pipeline.synthesis.models.torch_state import one_thread, seeded
from microplex_pipeline.synthesis.models.trained_model import TrainedModel
from microplex_pipeline.synthesis.models.training_settings import TrainingSettings
from microplex_pipeline.synthesis.models.weights import tempered
from microplex_pipeline.synthesis.stored_form import Stored, require_arrays
from microplex_pipeline.synthesis.transforms.marginal import Marginal
from microplex_pipeline.synthesis.transforms.target_transforms import AmountTransform
from microplex_pipeline.synthesis.transforms.transformer import Transformer

if TYPE_CHECKING:
    from microplex_pipeline.synthesis.models.networks import RankDensity
    from microplex_pipeline.synthesis.models.training import Progress

MIN_RECORDS = 25
LARGEST_TIED_SHARE = 1 - 1e-9  # where a margin has hardly another amount


@dataclass(frozen=True, repr=False)
class Flow(TrainedModel):
    """Conditional densities of magnitudes, by target and sign.

    Attributes
    ----------
    inputs : number of input columns of each fitted density, by "variable/sign". A pair that is absent
        had fewer than MIN_RECORDS records and keeps its marginal distribution.
    parameters : the networks' parameters, by "variable/sign/name".
    hidden, layers, history : see `TrainedModel`.
    """

    kind: ClassVar[str] = "flow"
    form: ClassVar[type[Stored]] = StoredFlow

    inputs: dict[str, int]

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
        factors: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train one density per target and sign.

        Parameters
        ----------
        data, transformer, settings, seed : see `ZeroModel.fit`.
        weights : (n,) survey weights; the likelihood uses them to the power `settings.weight_power`.
        prior : a fitted flow of a larger population, whose sizes are kept. Its densities are trained further
            if there are at least MIN_RECORDS records, and kept unchanged otherwise.
        factors : (n,) positive factors of a bootstrap replicate, see `ZeroModel.fit`.
        progress : called with a message per density.
        """
        if prior is not None:
            sizes = {"density_hidden": prior.hidden, "layers": prior.layers}
            settings = settings.model_copy(update=sizes)
        inputs: dict[str, int] = {}
        parameters: dict[str, np.ndarray] = {}
        history: list[dict[str, Any]] = []
        for observed in magnitudes_in(data, transformer):
            key = observed.key
            if prior is not None and key not in prior.inputs:
                continue
            if len(observed.rows) >= MIN_RECORDS:
                likelihood = tempered(weights[observed.rows], settings.weight_power)
                if factors is not None:
                    likelihood *= factors[observed.rows]
                fitted, checks = _train_density(
                    observed, likelihood, settings, seed, prior, progress
                )
                inputs[key] = observed.inputs.shape[1]
                history += checks
            elif prior is not None:
                fitted = prior.parameters_of(key)
                inputs[key] = prior.inputs[key]
            else:
                continue
            parameters |= {f"{key}/{name}": array for name, array in fitted.items()}
        return cls(
            hidden=settings.density_hidden,
            layers=settings.layers,
            parameters=parameters,
            history=history,
            inputs=inputs,
        )

    @classmethod
    def of_networks(
        cls,
        networks: Mapping[str, RankDensity],
        widths: Mapping[str, int],
        settings: TrainingSettings,
    ) -> Self:
        """Take over the parameters of trained networks, by "variable/sign", with their numbers of inputs."""
        from microplex_pipeline.synthesis.models.networks import parameters_of

        parameters = {
            f"{key}/{name}": array
            for key, network in networks.items()
            for name, array in parameters_of(network).items()
        }
        inputs = {key: widths[key] for key in networks}
        return cls(
            hidden=settings.density_hidden,
            layers=settings.layers,
            parameters=parameters,
            history=[],
            inputs=inputs,
        )

    @cached_property
    def networks(self) -> dict[str, RankDensity]:
        """The fitted networks by "variable/sign", rebuilt from the parameters."""
        import torch

        from microplex_pipeline.synthesis.models.networks import RankDensity, set_parameters

        networks = {}
        with torch.random.fork_rng(devices=[]):
            for key, n_inputs in self.inputs.items():
                networks[key] = RankDensity(n_inputs, BINS, self.hidden, self.layers, 0.0, BUMPS)
                set_parameters(networks[key], self.parameters_of(key))
        return networks

    def parameters_of(self, key: str) -> dict[str, np.ndarray]:
        """Return the parameters of the density of one "variable/sign", by name."""
        return arrays_under(f"{key}/", self.parameters)

    def bin_probabilities(self, key: str, inputs: np.ndarray) -> np.ndarray:
        """Return the probabilities of the rank bins, (m, BINS), float64.

        Parameters
        ----------
        key : "variable/sign".
        inputs : (m, p) float32: context, encoded classes, and encodings of the amounts before this one.
        """
        import torch

        network = self.networks.get(key)
        if network is None:
            return np.full((len(inputs), BINS), 1 / BINS)
        with torch.no_grad(), one_thread():
            p = network(torch.from_numpy(inputs)).double().exp().numpy()
        return p / p.sum(axis=1, keepdims=True)

    def log_prob(self, data: pl.DataFrame, transformer: Transformer) -> np.ndarray:
        """Return the log-density of each record's magnitudes given conditions and classes, (n,).

        In nats and data units: log P(cell) - log(resolution) for each non-zero amount. -inf if a
        magnitude lies beyond the fitted tail.
        """
        result = np.zeros(data.height)
        for observed in magnitudes_in(data, transformer):
            result[observed.rows] += self.magnitude_log_prob(observed)
        return result

    def magnitude_log_prob(self, observed: Magnitudes) -> np.ndarray:
        """Return the log-density of magnitudes of one target and sign, in nats and data units, (m,)."""
        p = self.bin_probabilities(observed.key, observed.inputs)
        with np.errstate(divide="ignore"):
            cell = np.log((p * observed.overlap).sum(axis=1))
        # an amount that would be tied is not drawn from the density
        return cell - np.log(observed.resolution) - np.log1p(-observed.tied_share(p))

    def _counts(self) -> dict[str, int]:
        return {"densities": len(self.inputs)}

    def architecture(self) -> dict[str, Any]:
        """Return the JSON part: sizes and training history."""
        return {**super().architecture(), "inputs": self.inputs}

    @classmethod
    def restore(cls, stored: StoredFlow, arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild from the stored form and `arrays`."""
        trained = {check.network for check in stored.history}
        if lost := sorted(trained - {_label(*key.rpartition("/")[::2]) for key in stored.inputs}):
            raise ValueError(f"the density of {', '.join(lost[:5])} was trained, but is missing")
        require_arrays(arrays, stored.expected())
        return cls(
            hidden=stored.hidden,
            layers=stored.layers,
            parameters=arrays,
            history=stored.history_rows(),
            inputs=dict(stored.inputs),
        )


class Magnitudes(NamedTuple):
    """The observed magnitudes of one target and sign.

    Attributes
    ----------
    key, label : "variable/sign", and the name for messages.
    rows : (m,) the records that have such an amount.
    inputs : (m, p) float32, what the density depends on.
    overlap : (m, BINS) of each magnitude's rank cell with the bins.
    resolution : the amount's grid step.
    marginal : of the magnitudes.
    tied : (m, number of ties) magnitudes that would be tied; NaN where there is none.
    """

    key: str
    label: str
    rows: np.ndarray
    inputs: np.ndarray
    overlap: np.ndarray
    resolution: float
    marginal: Marginal
    tied: np.ndarray

    def tied_share(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the probability of the magnitudes that would be tied, (m,), by that of the bins."""
        share = np.zeros(len(self.rows))
        for k, values in enumerate(self.tied.T):
            new = ~np.isnan(values) & ~(values[:, None] == self.tied[:, :k]).any(axis=1)
            cells = bin_overlap(*self.marginal.cell(values[new]))
            share[new] += (probabilities[new] * cells).sum(axis=1)
        return share.clip(0, LARGEST_TIED_SHARE)


def magnitudes_in(data: pl.DataFrame, transformer: Transformer) -> Iterator[Magnitudes]:
    """Yield the magnitudes of each target and sign, in the order in which they are drawn."""
    classes = transformer.classes(data)
    parts = [transformer.context(data), transformer.encode_classes(classes)]
    tied_values = transformer.tied_values(data)
    for j, (variable, transform) in enumerate(transformer.transformers_.items()):
        if not isinstance(transform, AmountTransform):
            continue
        grid = transform.grid(data[variable])
        tied = tied_values.get(j, np.empty((data.height, 0)))
        own = classes[:, j] < len(transform.signs)  # the others follow from earlier amounts
        yield from magnitudes_of(transform, grid, own, tied, parts)
        parts.append(transform.encode(grid))


def magnitudes_of(
    transform: AmountTransform,
    grid: np.ndarray,
    own: np.ndarray,
    tied: np.ndarray,
    parts: list[np.ndarray],
) -> Iterator[Magnitudes]:
    """Yield one target's magnitudes by sign.

    Parameters
    ----------
    grid : (n,) amounts as multiples of the resolution.
    own : (n,) which amounts are magnitudes and not tied to others.
    tied : (n, number of ties) what ties give; NaN where there is none.
    parts : see `density_inputs`.
    """
    for sign, marginal in transform.marginals.items():
        rows = np.flatnonzero((np.sign(grid) == sign) & own)
        yield Magnitudes(
            f"{transform.name}/{sign}",
            _label(transform.name, str(sign)),
            rows,
            density_inputs(parts, rows),
            bin_overlap(*marginal.cell(np.abs(grid[rows]))),
            transform.resolution,
            marginal,
            np.where(np.sign(tied[rows]) == sign, np.abs(tied[rows]), np.nan),
        )


def _label(variable: str, sign: str) -> str:
    """Return the name of a density in messages and in the training history."""
    return f"{variable} {'<' if sign == '-1' else '>'} 0"


def new_density(n_inputs: int, settings: TrainingSettings, seed: int) -> RankDensity:
    """Return the network of a density to train."""
    from microplex_pipeline.synthesis.models.networks import RankDensity

    with seeded(seed + 1):
        return RankDensity(
            n_inputs, BINS, settings.density_hidden, settings.layers, settings.dropout, BUMPS
        )


def log_overlaps(observed: Magnitudes) -> np.ndarray:
    """Return the log of the magnitudes' overlap with the bins, as the likelihood takes it, (m, BINS)."""
    return np.log(observed.overlap + 1e-12).astype(np.float32)


def _train_density(
    observed: Magnitudes,
    weights: np.ndarray,
    settings: TrainingSettings,
    seed: int,
    prior: Flow | None,
    progress: Progress | None,
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Train one density; return its parameters and training history."""
    import torch

    from microplex_pipeline.synthesis.models.networks import parameters_of, set_parameters
    from microplex_pipeline.synthesis.models.training import train

    x = torch.from_numpy(observed.inputs).to(settings.device)
    y = torch.from_numpy(log_overlaps(observed)).to(settings.device)
    network = new_density(x.shape[1], settings, seed)
    if prior is not None:
        set_parameters(network, prior.parameters_of(observed.key))
    history = train(
        network,
        lambda net, rows: net.negative_log_prob(  # type: ignore[operator]
            x.index_select(0, rows), y.index_select(0, rows)
        ),
        weights, settings, seed + 1,
        observed.label, progress,
    )  # fmt: skip
    return parameters_of(network), history


def density_inputs(parts: list[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Return the inputs of a density for some rows, (len(rows), p), float32.

    Parameters
    ----------
    parts : context, encoded classes, and the encodings of the amounts before this one, each (n, .).
    rows : indices of the rows.
    """
    return np.column_stack([part[rows] for part in parts])


def bin_overlap(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the length of rank cells [low, high] inside each bin over the bin's width, (n, BINS)."""
    edges = np.arange(BINS + 1) / BINS
    length = np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1])
    return length.clip(min=0) * BINS
