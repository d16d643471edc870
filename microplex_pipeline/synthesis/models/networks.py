"""The two networks: masked autoregressive classes, and a conditional density in rank space.

This module imports torch when it is imported itself, so the models import it only when they need a
network.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor, nn
from zuko.nn import MaskedLinear

from microplex_pipeline.synthesis.models.dropout import ByteDropout

IMPOSSIBLE = -1e9  # logit of a class that cannot be


class ClassNetwork(nn.Module):
    """Masked autoregressive categorical network (MADE; Germain et al. 2015, ICML).

    The class of a target is the sign of an amount (zero, negative, positive) or a category. Inputs are
    the context and the one-hot classes (first class dropped) of all D targets. The outputs of target j
    are its classes' logits; they depend only on the context and the targets before j. A linear path runs
    parallel to the hidden layers, and one more from the context alone where all amounts before j are zero:
    what conditions mean for those who have nothing else, such as parents who do not earn, is too rare for
    the hidden layers to learn. All start at zero, so training starts at the logits `base`.

    Parameters
    ----------
    n_context : number of columns of the context.
    n_classes : number of classes of each target.
    zeros : index of each target's class zero; -1 if it has none, as a category.
    base : (sum(n_classes),) logits to start from.
    hidden : units per hidden layer.
    context_units : how many of them depend on the context alone, at least; all targets use these. The others
        are divided among the targets.
    layers : number of hidden layers.
    dropout : share of the hidden units dropped in training.
    unobserved : whether a target's inputs have one more column, for values that were not observed; none
        if empty.
    """

    zero_without: Tensor
    zero_with: Tensor
    target_of: Tensor

    def __init__(
        self, n_context: int, n_classes: list[int], zeros: list[int], base: Tensor, hidden: int,
        context_units: int, layers: int, dropout: float, unobserved: Sequence[bool] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.n_classes = n_classes
        self.n_columns = class_columns(n_classes, unobserved)
        self.n_context, self.context_units = n_context, context_units
        self.offsets = np.concatenate([[0], np.cumsum(n_classes)]).tolist()
        degree_in = torch.tensor(
            [0] * n_context + [j + 1 for j, k in enumerate(self.n_columns) for _ in range(k)]
        )
        # the first target has no others: of 200 units divided among 20 targets it could use 10
        alone = torch.zeros(context_units, dtype=torch.int64)
        degree_hidden = torch.cat([alone, torch.arange(hidden - context_units) % len(n_classes)])
        self.degrees = degree_hidden.tolist()
        degree_out = torch.tensor([j + 1 for j, k in enumerate(n_classes) for _ in range(k)])
        sizes = [degree_in] + [degree_hidden] * layers
        self.hidden = nn.ModuleList(
            MaskedLinear(after[:, None] >= before) for before, after in pairwise(sizes)
        )
        self.out = MaskedLinear(degree_out[:, None] > degree_hidden)
        self.skip = MaskedLinear(degree_out[:, None] > degree_in)
        self.nothing_else = nn.Linear(n_context, sum(n_classes))
        self.zeros = zeros
        constant, effects = _zero_indicators(self.n_columns, zeros)
        self.register_buffer("zero_without", constant, persistent=False)
        self.register_buffer("zero_with", effects, persistent=False)
        self.register_buffer("target_of", degree_out - 1, persistent=False)
        self.dropout = ByteDropout(dropout)
        self.base = nn.Parameter(base.clone(), requires_grad=False)
        for layer in (self.out, self.skip, self.nothing_else):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer (n, hidden) for inputs x (n, p)."""
        first, *others = self.hidden
        h = self.dropout(nn.functional.silu(first(x)))
        for layer in others:
            h = h + self.dropout(nn.functional.silu(layer(h)))
        return h

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of all targets' classes, (n, sum(n_classes))."""
        alone = (
            self.nothing_else(x[:, : self.n_context]) * self.nothing_before(x)[:, self.target_of]
        )
        return self.out(self.features(x)) + self.skip(x) + alone + self.base

    def nothing_before(self, x: Tensor) -> Tensor:
        """Return, for each target, 1 where all amounts before it are zero and 0 elsewhere, (n, D)."""
        is_zero = self.zero_without + x[:, self.n_context :] @ self.zero_with
        first = torch.ones(len(x), 1, dtype=x.dtype, device=x.device)
        return torch.cat([first, is_zero[:, :-1].cumprod(1)], dim=1)

    def alone(self, j: int, x: Tensor) -> Tensor:
        """Return what is added to target j's logits where all amounts before it are zero."""
        rows = slice(self.offsets[j], self.offsets[j + 1])
        layer, context = self.nothing_else, x[:, : self.n_context]
        added = nn.functional.linear(context, layer.weight[rows], layer.bias[rows])
        return added * self.nothing_before(x)[:, j : j + 1]

    def negative_log_prob(
        self, x: Tensor, classes: Tensor, applies: Tensor, possible: Tensor | None = None
    ) -> Tensor:
        """Return the negative log-probability of each row's classes, (n,), in nats.

        Parameters
        ----------
        x : (n, p) inputs.
        classes : (n, D) class indices.
        applies : (n, D) 1 for targets that count, 0 for targets that are zero by rule or not observed.
        possible : (n, sum(n_classes)) which classes can be; None for all.
        """
        output = self.forward(x)
        if possible is not None:
            output = output.masked_fill(~possible, IMPOSSIBLE)
        logits = output.split(self.n_classes, dim=1)
        losses = [
            nn.functional.cross_entropy(logit, classes[:, j], reduction="none")
            for j, logit in enumerate(logits)
        ]
        return (torch.stack(losses, dim=1) * applies).sum(1)


def class_columns(n_classes: Sequence[int], unobserved: Sequence[bool] = ()) -> list[int]:
    """Return the number of input columns of each target's class: one per class but the first.

    Parameters
    ----------
    n_classes : number of classes of each target.
    unobserved : whether there is one more column, for values that were not observed; none if empty.
    """
    more = unobserved or [False] * len(n_classes)
    return [k - 1 + extra for k, extra in zip(n_classes, more, strict=True)]


def _zero_indicators(n_columns: list[int], zeros: list[int]) -> tuple[Tensor, Tensor]:
    """Return c (D,) and B (sum(n_columns), D): c + x B is 1 for targets that are zero, for one-hot x.

    Targets without a class zero count as zero: they say nothing about other amounts.
    """
    constant = torch.tensor([1.0 if zero <= 0 else 0.0 for zero in zeros])
    effects = torch.zeros(sum(n_columns), len(n_columns))
    column = 0
    for j, (size, zero) in enumerate(zip(n_columns, zeros, strict=True)):
        for of_class in range(1, size + 1):  # the first class has no column
            if zero == 0:
                effects[column, j] = -1.0
            elif zero == of_class:
                effects[column, j] = 1.0
            column += 1
    return constant, effects


class ClassSteps:
    """Class probabilities target by target, for drawing.

    A hidden unit of degree j sees the context and the targets before j. It is computed once, when target
    j is drawn, and kept: drawing all targets costs one pass through the network instead of D.

    Parameters
    ----------
    network : the fitted network.
    context : (n, n_context) float32.
    """

    def __init__(self, network: ClassNetwork, context: np.ndarray) -> None:
        self.network = network
        self.x = torch.zeros(len(context), network.n_context + sum(network.n_columns))
        self.x[:, : network.n_context] = torch.from_numpy(context)
        self.known = network.n_context
        self.hidden = [torch.zeros(len(context), len(network.degrees)) for _ in network.hidden]

    @torch.no_grad()
    def probabilities(self, j: int) -> np.ndarray:
        """Return the class probabilities of target j, (n, n_classes[j]), float64.

        Call it once per target, in the targets' order, each followed by `observe`.
        """
        network = self.network
        units = [k for k, degree in enumerate(network.degrees) if degree == j]
        before = self.x[:, : self.known]
        layer: MaskedLinear
        for number, layer in enumerate(network.hidden):
            seen = before if number == 0 else self.hidden[number - 1]
            weight = (layer.mask[units] * layer.weight[units])[:, : seen.shape[1]]
            h = nn.functional.silu(nn.functional.linear(seen, weight, layer.bias[units]))
            self.hidden[number][:, units] = h if number == 0 else h + seen[:, units]
        rows = slice(network.offsets[j], network.offsets[j + 1])
        logits = network.base[rows] + network.alone(j, self.x)
        for layer, seen in ((network.out, self.hidden[-1]), (network.skip, before)):
            weight = (layer.mask[rows] * layer.weight[rows])[:, : seen.shape[1]]
            logits = logits + nn.functional.linear(seen, weight, layer.bias[rows])
        return logits.double().softmax(-1).numpy()

    def observe(self, encoding: np.ndarray) -> None:
        """Store the next target's encoded classes (n, n_columns[j]), drawn or observed."""
        self.x[:, self.known : self.known + encoding.shape[1]] = torch.from_numpy(encoding)
        self.known += encoding.shape[1]

    def take(self, rows: np.ndarray) -> None:
        """Go on with these rows instead, of which some may be repeated."""
        index = torch.from_numpy(rows)
        self.x, self.hidden = self.x[index], [h[index] for h in self.hidden]


class RankDensity(nn.Module):
    """Conditional density of a rank in (0, 1), constant on `bins` equal bins.

    Its distribution function is the piecewise-linear monotone transform of the flow. The bins' logits
    are a combination of smooth functions of the rank (Gaussian bumps and the normal score) plus a free
    residual per bin, which is damped.

    Parameters
    ----------
    n_inputs : number of columns of the inputs.
    bins : number of bins of (0, 1).
    hidden : units per hidden layer.
    layers : number of hidden layers.
    dropout : share of the hidden units dropped in training.
    bumps : number of Gaussian bumps.
    residual : factor of the free residual.
    """

    def __init__(
        self, n_inputs: int, bins: int, hidden: int, layers: int, dropout: float,
        bumps: int, residual: float = 0.3,
    ) -> None:  # fmt: skip
        super().__init__()
        self.bins, self.residual = bins, residual
        sizes = [n_inputs] + [hidden] * layers
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.out = nn.Linear(hidden, bins + bumps + 1)
        self.dropout = ByteDropout(dropout)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        rank = (np.arange(bins) + 0.5) / bins
        centre = (np.arange(bumps) + 0.5) / bumps
        columns = np.column_stack(
            [
                np.exp(-0.5 * ((rank[:, None] - centre) * bumps / 1.2) ** 2),
                ndtri(rank.clip(0.005, 0.995)),
            ]
        )
        basis = torch.tensor((columns - columns.mean(0)).T, dtype=torch.float32)
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the bins' log-probabilities (n, bins) given inputs x (n, p)."""
        return self._logits(x).log_softmax(-1)

    def _logits(self, x: Tensor) -> Tensor:
        first, *others = self.hidden
        h = self.dropout(nn.functional.silu(first(x)))
        for layer in others:
            h = h + self.dropout(nn.functional.silu(layer(h)))
        o = self.out(h)
        return self.residual * o[:, : self.bins] + o[:, self.bins :] @ self.basis

    def negative_log_prob(self, x: Tensor, log_overlap: Tensor) -> Tensor:
        """Return the negative log-probability of rank cells, (n,), in nats.

        Parameters
        ----------
        x : (n, p) inputs.
        log_overlap : (n, bins) log of each cell's overlap with each bin, relative to the bin's width.
        """
        logits = self._logits(x)
        return logits.logsumexp(-1) - (logits + log_overlap).logsumexp(-1)


def parameters_of(network: nn.Module) -> dict[str, np.ndarray]:
    """Return the parameters of a network as arrays by name."""
    return {name: p.detach().cpu().numpy() for name, p in network.named_parameters()}


def set_parameters(network: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Copy arrays by name into a network of the same architecture.

    Raises
    ------
    ValueError
        If an array is missing or has the wrong shape.
    """
    own = dict(network.named_parameters())
    wrong = [n for n, p in own.items() if n not in arrays or arrays[n].shape != tuple(p.shape)]
    if wrong:
        raise ValueError(f"the stored network is damaged: {', '.join(wrong)} missing or misshapen")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(torch.as_tensor(arrays[name]))
    network.eval()
