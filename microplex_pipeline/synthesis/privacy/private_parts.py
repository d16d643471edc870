"""Fits the parts of a synthesizer with differential privacy, within one budget."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.models.class_records import class_records, log_shares
from microplex_pipeline.synthesis.models.flow import (
    MIN_RECORDS,
    Flow,
    log_overlaps,
    magnitudes_in,
    new_density,
)
from microplex_pipeline.synthesis.models.training_settings import TrainingSettings
from microplex_pipeline.synthesis.models.zero_model import ZeroModel, new_network
from microplex_pipeline.synthesis.parts import Parts, Variables
from microplex_pipeline.synthesis.privacy.privacy_budget import PrivacyBudget, PrivacySpent
from microplex_pipeline.synthesis.privacy.private_margins import (
    Cells,
    number_cells,
    stand_in_records,
    uses,
)
from microplex_pipeline.synthesis.transforms.target_transforms import AmountTransform
from microplex_pipeline.synthesis.transforms.transformer import Transformer

if TYPE_CHECKING:
    from microplex_pipeline.synthesis.models.training import Progress
    from microplex_pipeline.synthesis.privacy.private_training import Density


def fit_private_parts(
    data: pl.DataFrame,
    weights: np.ndarray,
    variables: Variables,
    margins: Mapping[str, Any],
    settings: TrainingSettings,
    seed: int,
    budget: PrivacyBudget,
    progress: Progress | None,
) -> tuple[Parts, PrivacySpent]:
    """Fit the three parts within a privacy budget; return them and what was spent.

    Margins come from noisy counts (`private_margins`), the networks from noisy gradients
    (`private_training`). What a fit without a budget learns from the records beside these is left out: ties,
    early stopping, and the calibration of the classes' shares after training.

    Parameters
    ----------
    data : (n, ...) checked training records.
    weights : (n,) between 0 and 1.
    variables, margins, progress : see `fit_parts`.
    settings : of the training; `epochs` and `batch_size` refer to the budget's number of records.
    seed : decides the networks' initial parameters. Batches and noise have random numbers of their own.
    budget : what may be spent.

    Raises
    ------
    ImportError
        If opacus is not installed.
    ValueError
        If the records do not lie within the budget's bounds and categories, or it is too small.
    """
    try:
        from microplex_pipeline.synthesis.privacy.private_training import (
            RecordLikelihood,
            train_privately,
        )
    except ModuleNotFoundError as error:
        raise ImportError(
            "a privacy budget needs opacus: pip install 'microplex-pipeline[privacy]'"
        ) from error
    import torch

    cells = _cells(data, variables, budget)
    of_margins = budget.margins(uses(cells))
    noise_seed = secrets.randbits(63) if budget.noise_seed is None else budget.noise_seed
    stand_ins = stand_in_records(
        data, cells, weights, budget.records, of_margins.noise_multiplier,
        np.random.default_rng(noise_seed),
    )  # fmt: skip
    transformer = _transformer(stand_ins, variables, margins, budget)

    sample_rate = min(1.0, settings.batch_size / budget.records)
    of_training = budget.training(of_margins, sample_rate, _steps(settings, sample_rate))
    settings = settings.model_copy(update={"dropout": 0.0})
    network = new_network(transformer, _shares(stand_ins, transformer), settings, seed)
    densities = _densities(data, stand_ins, transformer, settings, seed)
    records = class_records(data, transformer)
    likelihood = RecordLikelihood(
        network, densities, _inputs(data, transformer), records.classes, records.applies,
        settings.device,
    )  # fmt: skip
    generator = torch.Generator(settings.device).manual_seed(noise_seed)
    train_privately(
        likelihood, weights**settings.weight_power, of_training, budget.max_gradient_norm, settings,
        generator,
    )  # fmt: skip
    spent = PrivacySpent.of(budget.delta, of_margins, of_training)
    if progress:
        progress(
            f"private training: {of_training.steps} steps of {settings.batch_size} records on average, "
            f"noise multiplier {of_training.noise_multiplier:.2f}: {spent}"
        )
    zero_model = ZeroModel.of_network(network, transformer, settings, [])
    networks = {density.key: density.network for density in densities}
    flow = Flow.of_networks(networks, transformer.density_widths, settings)
    return Parts(transformer, zero_model, flow), spent


def _steps(settings: TrainingSettings, sample_rate: float) -> int:
    """Return the number of steps in which a record takes part `epochs` times on average."""
    return max(settings.min_steps, math.ceil(settings.epochs / sample_rate))


def _cells(data: pl.DataFrame, variables: Variables, budget: PrivacyBudget) -> list[Cells]:
    """Return the cells of every condition and target, none of which depends on the records.

    Raises
    ------
    ValueError
        If a column has neither bounds nor categories in the budget, or not those of its kind.
    """
    found = []
    for name in [*variables.condition_vars, *variables.target_vars]:
        # whether a condition is ever missing is not asked of the records
        null = name in variables.condition_vars or name in variables.missing
        category = name in variables.discrete_vars or not data[name].dtype.is_numeric()
        if category and name in budget.categories:
            found.append(Cells(name, budget.categories[name], None, 0.0, null))
        elif not category and name in budget.bounds:
            low, high = budget.bounds[name]
            whole, amount = data[name].dtype.is_integer(), name in variables.target_vars
            found.append(number_cells(name, low, high, whole=whole, null=null, amount=amount))
        else:
            needed = "categories" if category else "bounds"
            raise ValueError(
                f"the privacy budget has no {needed} of {name!r}: what would be learned from the records "
                "without noise must be given"
            )
    return found


def _transformer(
    stand_ins: pl.DataFrame,
    variables: Variables,
    margins: Mapping[str, Any],
    budget: PrivacyBudget,
) -> Transformer:
    """Fit the transformer to stand-ins; no amount is drawn beyond the budget's bounds."""
    fitted = Transformer.fit(
        stand_ins, weights=np.ones(stand_ins.height), **variables._asdict(), **margins
    )
    within = {
        name: _within(transform, *budget.bounds[name])
        if isinstance(transform, AmountTransform)
        else transform
        for name, transform in fitted.transformers_.items()
    }
    return replace(fitted, transformers_=within)


def _within(transform: AmountTransform, low: float, high: float) -> AmountTransform:
    """Return the transform with draws between two amounts, without ties of independent stand-ins."""
    limits = {-1: -low // transform.resolution, 1: high // transform.resolution}
    marginals = {}
    for sign, margin in transform.marginals.items():
        # every amount within the bounds is possible, if the noisy counts show it or not
        last = max(margin.x[-1], limits[sign] + 0.5)
        bound = max(1.0, min(margin.bound, limits[sign]))
        marginals[sign] = replace(margin, x=np.append(margin.x[:-1], last), bound=bound)
    return replace(transform, marginals=marginals, ties=())


def _shares(stand_ins: pl.DataFrame, transformer: Transformer) -> np.ndarray:
    classes = transformer.classes(stand_ins)
    observed = classes < np.array(transformer.n_classes)
    weights = np.ones(stand_ins.height)
    return log_shares(np.where(observed, classes, 0), weights, observed, transformer.n_classes)


def _densities(
    data: pl.DataFrame,
    stand_ins: pl.DataFrame,
    transformer: Transformer,
    settings: TrainingSettings,
    seed: int,
) -> list[Density]:
    """Return a density for each amount and sign of which enough records are known by the noisy counts."""
    from microplex_pipeline.synthesis.privacy.private_training import Density

    holders = {m.key: len(m.rows) for m in magnitudes_in(stand_ins, transformer)}
    widths = transformer.density_widths
    return [
        Density(
            m.key,
            new_density(widths[m.key], settings, seed),
            widths[m.key],
            m.rows,
            log_overlaps(m),
        )
        for m in magnitudes_in(data, transformer)
        if holders[m.key] >= MIN_RECORDS
    ]


def _inputs(data: pl.DataFrame, transformer: Transformer) -> np.ndarray:
    """Return context, encoded classes and encoded amounts of all records, side by side, float32."""
    parts = [transformer.context(data), transformer.encode_classes(transformer.classes(data))]
    for name, transform in transformer.transformers_.items():
        if isinstance(transform, AmountTransform):
            parts.append(transform.encode(transform.grid(data[name])))
    return np.column_stack(parts).astype(np.float32)
