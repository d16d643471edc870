"""Differentially private training of all networks at once, with opacus.

The zero model and the densities train together on the whole likelihood of a record. Its gradient with regard
to all parameters is scaled down to a given length, and Gaussian noise is added to the sum over a batch that
each record joins by chance (DP-SGD: Abadi et al. 2016, Deep Learning with Differential Privacy, algorithm 1).
A record is so paid for once, not once for each of its amounts.

This module imports torch and opacus, so the models import it only when they are fitted.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from opacus.grad_sample import (
    GradSampleModuleFastGradientClipping,
    register_grad_sampler,
    register_norm_sampler,
)
from opacus.optimizers import DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping
from torch import Tensor, nn
from zuko.nn import MaskedLinear

from microplex_pipeline.synthesis.models.networks import ClassNetwork, RankDensity
from microplex_pipeline.synthesis.models.torch_state import one_thread
from microplex_pipeline.synthesis.models.training import WARM_UP
from microplex_pipeline.synthesis.models.training_settings import TrainingSettings
from microplex_pipeline.synthesis.privacy.privacy_budget import Mechanism


class Density(NamedTuple):
    """One density and its magnitudes.

    Attributes
    ----------
    key : "variable/sign".
    network : to be trained.
    width : number of leading columns of the inputs that it uses.
    rows : (m,) records that have such a magnitude.
    log_overlap : (m, bins) float32, see `RankDensity.negative_log_prob`.
    """

    key: str
    network: RankDensity
    width: int
    rows: np.ndarray
    log_overlap: np.ndarray


@register_grad_sampler(MaskedLinear)
def _masked_gradients(
    layer: MaskedLinear, inputs: list[Tensor], slopes: Tensor
) -> dict[nn.Parameter, Tensor]:
    """Return each record's gradient of a masked layer; opacus asks for it, and uses the lengths below."""
    weights = torch.einsum("ni,nj->nij", slopes, inputs[0]) * layer.mask
    return {layer.weight: weights, layer.bias: slopes}


@register_norm_sampler(MaskedLinear)
def _masked_norms(
    layer: MaskedLinear, inputs: list[Tensor], slopes: Tensor
) -> dict[nn.Parameter, Tensor]:
    """Return the lengths of each record's gradient of a masked layer's weights and biases, each (b,).

    A weight's gradient is a product of a slope and an input, so that squares and masks are enough.

    Parameters
    ----------
    inputs : one of (b, p).
    slopes : (b, q) of the outputs.
    """
    squares = (slopes.square() @ layer.mask.to(slopes.dtype) * inputs[0].square()).sum(1)
    return {layer.weight: squares.sqrt(), layer.bias: slopes.norm(dim=1)}


class RecordLikelihood(nn.Module):
    """The negative log-likelihood of whole records, of which each network gives a term.

    Parameters
    ----------
    classes : the zero model's network.
    densities : those of the magnitudes.
    inputs : (n, p) float32: context, encoded classes, encoded amounts in the order in which they are drawn. A
        network uses the leading ones.
    of_classes : (n, D) class indices.
    applies : (n, D) which of them count.
    device : torch device for networks and records.
    """

    def __init__(
        self, classes: ClassNetwork, densities: Sequence[Density], inputs: np.ndarray,
        of_classes: np.ndarray, applies: np.ndarray, device: str = "cpu",
    ) -> None:  # fmt: skip
        super().__init__()
        self.classes = classes
        self.densities = nn.ModuleList(density.network for density in densities)
        self.widths = [density.width for density in densities]
        self.inputs = torch.from_numpy(inputs).to(device)
        self.of_classes = torch.from_numpy(of_classes).to(device)
        self.applies = torch.from_numpy(applies.astype(np.float32)).to(device)
        self.n_columns = classes.n_context + sum(classes.n_columns)
        self.overlaps, self.places = [], []
        for density in densities:
            # place 0 is for records without such a magnitude
            none = np.zeros((1, density.network.bins), np.float32)
            overlap = np.concatenate([none, density.log_overlap])
            self.overlaps.append(torch.from_numpy(overlap).to(device))
            place = np.zeros(len(inputs), np.int64)
            place[density.rows] = 1 + np.arange(len(density.rows))
            self.places.append(torch.from_numpy(place).to(device))
        self.to(device)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the negative log-likelihood of some records (b,), in nats, (b,)."""
        x = self.inputs[rows]
        total = self.classes.negative_log_prob(
            x[:, : self.n_columns], self.of_classes[rows], self.applies[rows]
        )
        terms = zip(self.densities, self.widths, self.places, self.overlaps, strict=True)
        for network, width, places, overlaps in terms:
            place = places[rows]
            # every record goes through every network: what a batch shows must not depend on who has what
            nats = network.negative_log_prob(x[:, :width], overlaps[place])  # type: ignore[operator]
            total = total + torch.where(place > 0, nats, 0.0)
        return total


def train_privately(
    likelihood: RecordLikelihood,
    weights: np.ndarray,
    mechanism: Mechanism,
    max_gradient_norm: float,
    settings: TrainingSettings,
    generator: torch.Generator,
) -> None:
    """Train the networks in place and leave them at their averaged parameters.

    There is no early stopping, because a look at held-out records costs privacy as well, and no history of
    losses.

    Parameters
    ----------
    likelihood : the networks and records.
    weights : (n,) of the records in the likelihood.
    mechanism : noise, share of the records in a batch, and number of steps.
    max_gradient_norm : the gradient of a record is scaled down to this length.
    settings : learning rate, weight decay and averaging.
    generator : random numbers of batches and noise, on the device of the likelihood.

    Raises
    ------
    FloatingPointError
        If the parameters become infinite or NaN.
    """
    with one_thread(), warnings.catch_warnings():
        # the inputs are data and have no gradients: opacus needs those of the outputs alone
        warnings.filterwarnings("ignore", "Full backward hook is firing", UserWarning)
        _train(likelihood, weights, mechanism, max_gradient_norm, settings, generator)


def _train(
    likelihood: RecordLikelihood,
    weights: np.ndarray,
    mechanism: Mechanism,
    max_gradient_norm: float,
    settings: TrainingSettings,
    generator: torch.Generator,
) -> None:
    likelihood.train()
    device = likelihood.inputs.device
    of_records = torch.as_tensor(weights, dtype=torch.float32).to(device)
    n = len(of_records)
    # strict refuses buffers, which could carry information between records: here they are constant masks
    network = GradSampleModuleFastGradientClipping(
        likelihood, loss_reduction="sum", strict=False, max_grad_norm=max_gradient_norm
    )
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = DPOptimizerFastGradientClipping(
        torch.optim.AdamW(trained, settings.learning_rate, weight_decay=settings.weight_decay),
        noise_multiplier=mechanism.noise_multiplier,
        max_grad_norm=max_gradient_norm,
        expected_batch_size=max(1, round(n * mechanism.sample_rate)),
        loss_reduction="sum",
        generator=generator,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer.original_optimizer, settings.learning_rate,
        total_steps=mechanism.steps + 1, pct_start=WARM_UP,
    )  # fmt: skip
    averaged = [p.detach().clone() for p in trained]
    for step in range(1, mechanism.steps + 1):
        taken = torch.rand(n, generator=generator, device=device) < mechanism.sample_rate
        rows = torch.nonzero(taken).flatten()
        if len(rows):
            losses = network(rows) * of_records[rows]
        else:  # noise is added all the same; a record of weight zero stands for the empty batch
            losses = network(torch.zeros(1, dtype=torch.int64, device=device)) * 0.0
        DPTensorFastGradientClipping(network, optimizer, losses, "sum").backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        decay = min(settings.averaging, (1 + step) / (10 + step))
        for mean, parameter in zip(averaged, trained, strict=True):
            mean.lerp_(parameter.detach(), 1 - decay)
    with torch.no_grad():
        for mean, parameter in zip(averaged, trained, strict=True):
            parameter.copy_(mean)
            if not math.isfinite(float(mean.sum())):
                raise FloatingPointError("private training diverged: lower the learning rate")
    network.to_standard_module()
    likelihood.to("cpu").eval()
