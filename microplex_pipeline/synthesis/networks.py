"""The two networks: masked autoregressive states, and a conditional density in rank space.

The only module of this package that imports torch when it is itself imported.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor, nn
from zuko.nn import MaskedLinear


class StateNetwork(nn.Module):
    """Masked autoregressive categorical network (MADE; Germain et al. 2015, ICML).

    Inputs are the context and the one-hot states (first dropped) of all D targets; the outputs of
    target j are its states' logits and depend on the context and the targets before j alone.
    A linear path runs beside the hidden layers; both start at zero, so training starts at `base`.

    Parameters
    ----------
    n_context : columns of the context.
    n_states : states of each target.
    base : (sum(n_states),) logits to start from.
    """

    def __init__(
        self, n_context: int, n_states: list[int], base: Tensor, hidden: int, layers: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.n_states = n_states
        self.n_context = n_context
        self.offsets = np.concatenate([[0], np.cumsum(n_states)]).tolist()
        degree_in = torch.tensor(
            [0] * n_context + [j + 1 for j, k in enumerate(n_states) for _ in range(k - 1)]
        )
        degree_hidden = torch.arange(hidden) % len(n_states)
        self.degrees = degree_hidden.tolist()
        degree_out = torch.tensor([j + 1 for j, k in enumerate(n_states) for _ in range(k)])
        sizes = [degree_in] + [degree_hidden] * layers
        self.hidden = nn.ModuleList(
            MaskedLinear(after[:, None] >= before) for before, after in pairwise(sizes)
        )
        self.out = MaskedLinear(degree_out[:, None] > degree_hidden)
        self.skip = MaskedLinear(degree_out[:, None] > degree_in)
        self.dropout = nn.Dropout(dropout)
        self.base = nn.Parameter(base.clone(), requires_grad=False)
        for layer in (self.out, self.skip):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def features(self, x: Tensor) -> Tensor:
        """Hidden units of inputs x (n, p): (n, hidden)."""
        first, *others = self.hidden
        h = self.dropout(nn.functional.silu(first(x)))
        for layer in others:
            h = h + self.dropout(nn.functional.silu(layer(h)))
        return h

    def forward(self, x: Tensor) -> Tensor:
        """Logits of all targets' states, (n, sum(n_states))."""
        return self.out(self.features(x)) + self.skip(x) + self.base

    def logits_of(self, j: int, x: Tensor) -> Tensor:
        """Logits of target j's states alone, (n, n_states[j])."""
        rows = slice(self.offsets[j], self.offsets[j + 1])
        result = self.base[rows]
        for layer, inputs in ((self.out, self.features(x)), (self.skip, x)):
            weight = (layer.mask * layer.weight)[rows]
            result = result + nn.functional.linear(inputs, weight, layer.bias[rows])
        return result

    def negative_log_prob(self, x: Tensor, states: Tensor, applies: Tensor) -> Tensor:
        """Negative log-probability (n,) of state indices (n, D), of those targets that apply (n, D)."""
        logits = self.forward(x).split(self.n_states, dim=1)
        losses = [
            nn.functional.cross_entropy(logit, states[:, j], reduction="none")
            for j, logit in enumerate(logits)
        ]
        return (torch.stack(losses, dim=1) * applies).sum(1)


class StateSteps:
    """The states' probabilities target by target, as a draw needs them.

    A hidden unit of degree j sees the context and the targets before j, so it is computed when target
    j's turn comes and kept: drawing all targets costs one pass through the network instead of D.

    Parameters
    ----------
    context : (n, n_context) float32.
    """

    def __init__(self, network: StateNetwork, context: np.ndarray) -> None:
        self.network = network
        width = network.n_context + sum(network.n_states) - len(network.n_states)
        self.x = torch.zeros(len(context), width)
        self.x[:, : network.n_context] = torch.from_numpy(context)
        self.known = network.n_context
        self.hidden = [torch.zeros(len(context), len(network.degrees)) for _ in network.hidden]

    @torch.no_grad()
    def probabilities(self, j: int) -> np.ndarray:
        """Return the state probabilities of target j, (n, n_states[j]), float64; once, in order."""
        network = self.network
        units = [k for k, degree in enumerate(network.degrees) if degree == j]
        before = self.x[:, : self.known]
        layer: MaskedLinear
        for number, layer in enumerate(network.hidden):
            seen = before if number == 0 else self.hidden[number - 1]
            weight = (layer.mask * layer.weight)[units, : seen.shape[1]]
            h = nn.functional.silu(nn.functional.linear(seen, weight, layer.bias[units]))
            self.hidden[number][:, units] = h if number == 0 else h + seen[:, units]
        rows = slice(network.offsets[j], network.offsets[j + 1])
        logits = network.base[rows]
        for layer, seen in ((network.out, self.hidden[-1]), (network.skip, before)):
            weight = (layer.mask * layer.weight)[rows, : seen.shape[1]]
            logits = logits + nn.functional.linear(seen, weight, layer.bias[rows])
        return logits.double().softmax(-1).numpy()

    def observe(self, codes: np.ndarray) -> None:
        """Take in the next target's state codes (n, n_states - 1), drawn or observed."""
        self.x[:, self.known : self.known + codes.shape[1]] = torch.from_numpy(codes)
        self.known += codes.shape[1]


class RankDensity(nn.Module):
    """Conditional density of a rank in (0, 1), constant on `bins` equal bins.

    Its distribution function is the piecewise-linear monotone transform of the flow. The logits are
    a smooth basis in the rank (Gaussian bumps and the normal score) plus a damped free residual.
    """

    def __init__(
        self, n_inputs: int, bins: int, hidden: int, layers: int, dropout: float,
        bumps: int = 8, residual: float = 0.3,
    ) -> None:  # fmt: skip
        super().__init__()
        self.bins, self.residual = bins, residual
        sizes = [n_inputs] + [hidden] * layers
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.out = nn.Linear(hidden, bins + bumps + 1)
        self.dropout = nn.Dropout(dropout)
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
        first, *others = self.hidden
        h = self.dropout(nn.functional.silu(first(x)))
        for layer in others:
            h = h + self.dropout(nn.functional.silu(layer(h)))
        o = self.out(h)
        logits = self.residual * o[:, : self.bins] + o[:, self.bins :] @ self.basis
        return logits.log_softmax(-1)

    def negative_log_prob(self, x: Tensor, log_overlap: Tensor) -> Tensor:
        """Negative log-probability (n,) of rank cells given by their `log_overlap` (n, bins)."""
        return -torch.logsumexp(self.forward(x) + log_overlap, dim=-1)


def parameters_of(network: nn.Module) -> dict[str, np.ndarray]:
    """Return the parameters of a network as arrays by name."""
    return {name: p.detach().cpu().numpy() for name, p in network.named_parameters()}


def set_parameters(network: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Copy arrays by name into a network of the same architecture.

    Raises
    ------
    ValueError
        If an array is missing or has another shape.
    """
    own = dict(network.named_parameters())
    wrong = [n for n, p in own.items() if n not in arrays or arrays[n].shape != tuple(p.shape)]
    if wrong:
        raise ValueError(f"the stored network is damaged: {', '.join(wrong)} missing or misshapen")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(torch.as_tensor(arrays[name]))
    network.eval()
