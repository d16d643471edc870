"""Training of one network: AdamW, one-cycle rate, weight averaging, early stopping on held-out rows.

This module imports torch when it is imported itself, so the models import it only when they are fitted.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from microplex_pipeline.synthesis.models.torch_state import one_thread, seeded
from microplex_pipeline.synthesis.models.training_settings import TrainingSettings

Progress = Callable[[str], None]
Loss = Callable[[nn.Module, Tensor], Tensor]

MAX_GRADIENT_NORM = 5.0
WARM_UP = 0.15  # share of the steps before the learning rate peaks
STEPS_PER_CHECK = 8  # at least this many steps between two looks at the held-out rows
LEAST_GAIN = 1e-5  # nats; a smaller gain does not count as an improvement
EVALUATION_BATCH = 8192


def train(
    network: nn.Module,
    loss: Loss,
    weights: np.ndarray,
    settings: TrainingSettings,
    seed: int,
    label: str,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Train a network in place and leave it at its best averaged parameters.

    Parameters
    ----------
    network : its initial parameters count as epoch 0 and are kept if training does not improve on them.
        It trains on the settings' device and is moved back to the CPU afterwards.
    loss : maps (network, row indices (b,)) to losses (b,), in nats, all on the device.
    weights : (n,) tempered weights of mean one.
    seed : decides split, shuffling and dropout; the caller's random state is not changed.
    label : name of the network in the history and in progress messages.
    progress : called with one message when training ends.

    Returns
    -------
    One row per check: network, epoch, train_loss, validation_loss (nats per record).

    Raises
    ------
    FloatingPointError
        If the loss becomes infinite or NaN.
    """
    with seeded(seed), one_thread():
        history, best = _train(_Training(network, loss, weights, settings, seed), label)
    if progress:
        progress(
            f"{label}: {history[-1]['epoch']} epochs, "
            f"held-out loss {history[0]['validation_loss']:.4f} -> {best:.4f}"
        )
    return history


def _train(training: _Training, label: str) -> tuple[list[dict[str, Any]], float]:
    """Run epochs until the held-out loss stops falling; return the history and the best loss."""

    def check(epoch: int, train_loss: float | None, validation_loss: float) -> dict[str, Any]:
        return {
            "network": label,
            "epoch": epoch,
            "train_loss": train_loss if train_loss is None else round(train_loss, 6),
            "validation_loss": round(validation_loss, 6),
        }

    best, best_parameters, failures = training.held_out_loss(), training.averages(), 0
    history = [check(0, None, best)]
    for epoch in range(1, training.epochs + 1):
        train_loss = training.run_epoch()
        if not math.isfinite(train_loss):
            raise FloatingPointError(f"training of {label} diverged: lower the learning rate")
        if epoch % training.check_every:
            continue
        found = training.held_out_loss()
        if not math.isfinite(found):
            raise FloatingPointError(f"training of {label} diverged: lower the learning rate")
        history.append(check(epoch, train_loss, found))
        if found < best - LEAST_GAIN:
            best, best_parameters, failures = found, training.averages(), 0
        else:
            failures += 1
            if failures >= training.settings.patience:
                break
    training.finish(best_parameters)
    return history, best


class _Training:
    """A network in training: the split of its rows, its optimizer and its averaged parameters."""

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        weights: np.ndarray,
        settings: TrainingSettings,
        seed: int,
    ) -> None:
        self.network, self.loss, self.settings = network.to(settings.device), loss, settings
        self.weights = torch.as_tensor(weights).to(torch.float32).to(settings.device)
        self.rng = torch.Generator().manual_seed(seed)
        n = len(weights)
        order = torch.randperm(n, generator=self.rng)
        n_held_out = max(1, int(n * settings.validation_share))
        self.held_out = order[:n_held_out].to(settings.device)
        self.rows = order[n_held_out:]
        self.batch = min(settings.batch_size, max(32, len(self.rows) // 8))
        self.steps = max(1, len(self.rows) // self.batch)
        self.epochs = max(settings.epochs, math.ceil(settings.min_steps / self.steps))
        self.check_every = max(1, math.ceil(STEPS_PER_CHECK / self.steps))

        # one vector: an optimizer's step on many small tensors takes longer than its arithmetic
        self.trained, self.gradient = _as_one_vector(network)
        self.trained.grad = self.gradient
        self.averaged = self.trained.clone()
        self.optimizer = torch.optim.AdamW(
            [self.trained],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            settings.learning_rate,
            total_steps=self.epochs * self.steps + 1,
            pct_start=WARM_UP,
        )
        self.steps_done = 0
        self.evaluated = copy.deepcopy(network).eval()  # a copy that holds the averaged parameters
        self.evaluated_at, _ = _as_one_vector(self.evaluated)
        network.train()

    def run_epoch(self) -> float:
        """Pass once over the training rows in random order; return the mean loss of the steps."""
        order = torch.randperm(len(self.rows), generator=self.rng)
        shuffled = self.rows[order].to(self.settings.device)
        total = 0.0
        for i in range(self.steps):
            total += self._step(shuffled[i * self.batch : (i + 1) * self.batch])
        return total / self.steps

    def _step(self, rows: Tensor) -> float:
        self.gradient.zero_()
        value = (self.loss(self.network, rows) * self.weights[rows]).mean()
        value.backward()
        self.gradient.mul_((MAX_GRADIENT_NORM / self.gradient.norm()).clamp_(max=1))
        self.optimizer.step()
        self.schedule.step()
        self.steps_done += 1
        # the average follows closely at first, when parameters change fast
        decay = min(self.settings.averaging, (1 + self.steps_done) / (10 + self.steps_done))
        self.averaged.lerp_(self.trained, 1 - decay)
        return float(value.detach())

    def held_out_loss(self) -> float:
        """Return the weighted mean loss of the averaged parameters on the held-out rows."""
        self.evaluated_at.copy_(self.averaged)
        with torch.no_grad():
            total = sum(
                float((self.loss(self.evaluated, rows) * self.weights[rows]).sum())
                for rows in self.held_out.split(EVALUATION_BATCH)
            )
        return total / float(self.weights[self.held_out].sum())

    def averages(self) -> Tensor:
        """Return a copy of the averaged parameters."""
        return self.averaged.clone()

    def finish(self, parameters: Tensor) -> None:
        """Load the parameters into the network, and move it to the CPU for evaluation."""
        self.trained.copy_(parameters)
        for parameter in self.network.parameters():
            parameter.grad = None
        self.network.to("cpu").eval()


def _as_one_vector(network: nn.Module) -> tuple[Tensor, Tensor]:
    """Make all trained parameters of a network parts of one vector, and their gradients of another.

    Returns
    -------
    Both vectors, (number of parameters,).
    """
    trained = [p for p in network.parameters() if p.requires_grad]
    values = torch.cat([p.detach().flatten() for p in trained])
    gradient = torch.zeros_like(values)
    sizes = [p.numel() for p in trained]
    for p, value, slope in zip(trained, values.split(sizes), gradient.split(sizes), strict=True):
        p.data, p.grad = value.view_as(p), slope.view_as(p)
    return values, gradient
