"""Training of one network: AdamW, one-cycle rate, weight averaging, early stopping on held-out rows."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Progress = Callable[[str], None]
Loss = Callable[["nn.Module", "Tensor"], "Tensor"]


class TrainingSettings(BaseModel):
    """Hyper-parameters of the networks and their training; defaults suit 200 to 300,000 records."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(40, ge=1, description="passes over the data, at the most")
    batch_size: int = Field(512, ge=1, description="records a step")
    learning_rate: float = Field(6e-3, gt=0, description="peak of the one-cycle schedule")
    min_steps: int = Field(250, ge=0, description="small data get more epochs, to this many steps")
    patience: int = Field(8, ge=1, description="checks without improvement before stopping")
    validation_share: float = Field(0.15, gt=0, lt=1, description="rows held out for stopping")
    weight_decay: float = Field(1e-2, ge=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    averaging: float = Field(0.99, ge=0, lt=1, description="decay of the averaged weights")
    weight_power: float = Field(
        0.5, ge=0, le=1, description="weights enter the networks' likelihood to this power"
    )
    device: str = Field("cpu", description="torch device that trains, such as cpu or cuda")
    hidden: int = Field(128, ge=1, description="units a layer of the zero model, at the least")
    density_hidden: int = Field(64, ge=1, description="units a layer of each magnitude's density")
    layers: int = Field(2, ge=1, description="hidden layers")


class FineTuningSettings(TrainingSettings):
    """The same, with defaults for going on from a prior's networks."""

    epochs: int = Field(30, ge=1, description="passes over the data, at the most")
    learning_rate: float = Field(1e-4, gt=0, description="peak of the one-cycle schedule")
    min_steps: int = Field(0, ge=0, description="small data get more epochs, to this many steps")


FINE_TUNING = FineTuningSettings()


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread: two runs on two cores beat one run on both, and bytes repeat."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(
    network: nn.Module,
    loss: Loss,
    weights: np.ndarray,
    settings: TrainingSettings,
    seed: int,
    label: str,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Train a network in place and leave it at its best averaged weights.

    Parameters
    ----------
    network : the network; its starting point counts as epoch 0 and may win. It trains on the settings'
        device and comes back on the CPU.
    loss : maps (network, row indices (b,) on the CPU) to losses (b,) on the device.
    weights : (n,) tempered weights of mean one.
    seed : decides split, shuffling and dropout; the caller's random state is left alone.
    label : names the network in the history and in progress lines.

    Returns
    -------
    One row per check: network, epoch, train_loss, validation_loss (nats a record).
    """
    import torch

    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        return _train(network, loss, torch.as_tensor(weights), settings, seed, label, progress)


def _train(
    network: nn.Module,
    loss: Loss,
    weights: Tensor,
    settings: TrainingSettings,
    seed: int,
    label: str,
    progress: Progress | None,
) -> list[dict[str, Any]]:
    import torch

    network.to(settings.device)
    weights = weights.to(torch.float32).to(settings.device)
    rng = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(weights), generator=rng)
    n_held_out = max(1, int(len(weights) * settings.validation_share))
    held_out, training = order[:n_held_out], order[n_held_out:]
    batch = min(settings.batch_size, max(32, len(training) // 8))
    steps = max(1, len(training) // batch)
    epochs = max(settings.epochs, math.ceil(settings.min_steps / steps))
    check_every = max(1, math.ceil(8 / steps))

    parameters: list[torch.Tensor] = list(network.parameters())
    averaged = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=epochs * steps + 1, pct_start=0.15
    )
    shadow = copy.deepcopy(network).eval()

    def held_out_loss() -> float:
        load(shadow, averaged)
        with torch.no_grad():
            total = sum(
                float((loss(shadow, rows) * weights[rows]).sum()) for rows in held_out.split(8192)
            )
        return total / float(weights[held_out].sum())

    network.train()
    best, best_weights, failures, step = held_out_loss(), [a.clone() for a in averaged], 0, 0
    history = [
        {"network": label, "epoch": 0, "train_loss": None, "validation_loss": round(best, 6)}
    ]
    for epoch in range(1, epochs + 1):
        shuffled = training[torch.randperm(len(training), generator=rng)]
        epoch_loss = 0.0
        for i in range(steps):
            rows = shuffled[i * batch : (i + 1) * batch]
            value = (loss(network, rows) * weights[rows]).mean()
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 5.0)
            optimizer.step()
            schedule.step()
            step += 1
            epoch_loss += float(value.detach())
            decay = min(settings.averaging, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(averaged, parameters, 1 - decay)
        if not math.isfinite(epoch_loss):
            raise FloatingPointError(f"training of {label} diverged: lower the learning rate")
        if epoch % check_every:
            continue
        value_now = held_out_loss()
        history.append(
            {
                "network": label,
                "epoch": epoch,
                "train_loss": round(epoch_loss / steps, 6),
                "validation_loss": round(value_now, 6),
            }
        )
        if value_now < best - 1e-5:
            best, best_weights, failures = value_now, [a.clone() for a in averaged], 0
        else:
            failures += 1
            if failures >= settings.patience:
                break
    load(network, best_weights)
    network.to("cpu").eval()
    if progress:
        last = history[-1]["epoch"]
        progress(
            f"{label}: {last} epochs, held-out loss {history[0]['validation_loss']:.4f} -> {best:.4f}"
        )
    return history


def load(network: nn.Module, values: list[torch.Tensor]) -> None:
    """Copy values into the network's parameters, in order."""
    import torch

    with torch.no_grad():
        for parameter, value in zip(network.parameters(), values, strict=True):
            parameter.copy_(value)
