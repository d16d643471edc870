"""The fitted parts of a synthesizer, and what they do together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.copies import without_copies
from microplex_pipeline.synthesis.drawing import draw_records
from microplex_pipeline.synthesis.input_checks import check_targets, require_columns
from microplex_pipeline.synthesis.models.flow import Flow
from microplex_pipeline.synthesis.models.training_settings import TrainingSettings
from microplex_pipeline.synthesis.models.zero_model import ZeroModel
from microplex_pipeline.synthesis.transforms.identity_kinds import Between
from microplex_pipeline.synthesis.transforms.only_where import OnlyWhere
from microplex_pipeline.synthesis.transforms.target_transforms import Missing
from microplex_pipeline.synthesis.transforms.transformer import Transformer

if TYPE_CHECKING:
    from microplex_pipeline.synthesis.models.training import Progress


HISTORY = {
    "network": pl.String,
    "epoch": pl.Int64,
    "train_loss": pl.Float64,
    "validation_loss": pl.Float64,
}


class Variables(NamedTuple):
    """The columns that a synthesizer models, its rules of structural zeros, what nulls are, and bounds."""

    target_vars: Sequence[str]
    condition_vars: Sequence[str]
    discrete_vars: Sequence[str]
    only_where: Mapping[str, OnlyWhere]
    missing: Mapping[str, Missing]
    bounds: Mapping[str, Between]


class Parts(NamedTuple):
    """The fitted parts of a synthesizer."""

    transformer: Transformer
    zero_model: ZeroModel
    flow: Flow

    def checked(self) -> Parts:
        """Return the parts if they belong together.

        Raises
        ------
        ValueError
            If the zero model or the flow was fitted with another transformer.
        """
        transformer, zero_model, flow = self
        found = (
            zero_model.n_context, zero_model.n_classes, zero_model.zeros, zero_model.unobserved,
        )  # fmt: skip
        if found != (
            transformer.n_context, transformer.n_classes, transformer.zero_classes,
            transformer.unobserved,
        ):  # fmt: skip
            raise ValueError(
                "the zero model has other conditions or classes than the transformer: fit it again"
            )
        widths = transformer.density_widths
        if foreign := sorted(flow.inputs.keys() - widths.keys()):
            raise ValueError(
                f"the flow has a density of {foreign[0]!r}, which the transformer does not have: fit it "
                "again"
            )
        for key, width in flow.inputs.items():
            if width != widths[key]:
                raise ValueError(
                    f"the flow's density of {key!r} has {width} inputs, not {widths[key]}: fit it again"
                )
        return self

    def draw(
        self,
        conditions: pl.DataFrame,
        seed: int | None,
        *,
        stratified: bool,
        no_copies_of: pl.DataFrame | None,
    ) -> Sequence[pl.Series]:
        """Draw the targets, one series each, in order. See `Synthesizer.generate`."""
        require_columns(conditions, self.transformer.condition_vars)
        if not conditions.height:
            raise ValueError("no conditions were given: the frame has no rows")
        columns = draw_records(conditions, *self, seed, stratified)
        if no_copies_of is None:
            return columns
        targets = self.transformer.target_vars
        apart = without_copies(
            conditions.with_columns(columns),
            no_copies_of,
            [*self.transformer.condition_vars, *targets],
            targets,
            self.transformer.amounts,
            lambda some, again: draw_records(some, *self, again, stratified=False),
            seed,
        )
        return apart.select(targets).get_columns()

    def log_prob(self, data: pl.DataFrame) -> np.ndarray:
        """Return the log-density of each record's targets, (n,). See `Synthesizer.log_prob`."""
        transformer = self.transformer
        require_columns(data, [*transformer.target_vars, *transformer.condition_vars])
        check_targets(data, transformer.target_vars, transformer.categories, transformer.missing)
        classes = self.zero_model.log_prob(data, transformer)
        return classes + self.flow.log_prob(data, transformer)

    def training_details(self) -> pl.DataFrame:
        """Return one row per network and check."""
        return pl.DataFrame(self.zero_model.history + self.flow.history, schema=HISTORY)

    def summary(self, n_records: int | None) -> str:
        """Return a repr of several lines, with the number of training records if it is known."""
        counts = f"targets: {len(self.transformer.target_vars)}"
        counts += f", conditions: {len(self.transformer.condition_vars)}"
        if n_records is not None:
            counts += f", fitted on {n_records:,} records"
        return "\n".join(
            [f"  {counts}", *(f"  ({part.kind}): {part}" for part in self)],
        )


def losses_by_epoch(details: pl.DataFrame) -> list[float]:
    """Return the best held-out losses so far, summed over the networks, by epoch.

    Parameters
    ----------
    details : from `Parts.training_details`.
    """
    held_out = details.select("network", "epoch", "validation_loss").drop_nulls().drop_nans()
    if held_out.is_empty():
        return []
    best = pl.col("validation_loss").cum_min().over("network")
    wide = held_out.with_columns(best).pivot("network", index="epoch", values="validation_loss")
    # networks are not checked after every epoch
    last = int(wide["epoch"].to_numpy().max())
    epochs = pl.DataFrame({"epoch": range(last + 1)}, schema={"epoch": pl.Int64})
    every = epochs.join(wide, on="epoch", how="left", maintain_order="left")
    by_epoch = every.select(pl.exclude("epoch").forward_fill())
    return by_epoch.select(pl.sum_horizontal(pl.all())).to_series().to_list()


def fit_parts(
    data: pl.DataFrame,
    weights: np.ndarray,
    variables: Variables,
    margins: Mapping[str, Any],
    settings: TrainingSettings,
    seed: int,
    *,
    prior: Parts | None,
    factors: np.ndarray | None,
    progress: Progress | None,
) -> Parts:
    """Fit the three parts one after the other.

    Parameters
    ----------
    data : (n, ...) checked training records.
    weights : (n,) positive survey weights of mean one.
    margins : atom_holders, max_knots and tail_factor, see `fit_marginal`.
    settings, seed, progress : see `ZeroModel.fit` and `Flow.fit`.
    prior : the parts of a larger population's synthesizer, from which these start.
    factors : (n,) positive factors of a bootstrap replicate, see `ZeroModel.fit`; None for the records as
        they are.

    Raises
    ------
    ValueError
        If the prior was fitted with other variables or rules; otherwise see the parts' own `fit`.
    """
    if prior is not None:
        _require_same(prior.transformer, variables)
    transformer = Transformer.fit(
        data,
        weights=weights if factors is None else weights * factors / np.mean(weights * factors),
        prior=None if prior is None else prior.transformer,
        **variables._asdict(),
        **margins,
    )
    common = (data, transformer, weights, settings, seed)
    zero_model = ZeroModel.fit(
        *common,
        prior=None if prior is None else prior.zero_model,
        factors=factors,
        progress=progress,
    )
    flow = Flow.fit(
        *common,
        prior=None if prior is None else prior.flow,
        factors=factors,
        progress=progress,
    )
    return Parts(transformer, zero_model, flow)


def _require_same(prior: Transformer, variables: Variables) -> None:
    if (
        prior.target_vars != variables.target_vars
        or prior.condition_vars != variables.condition_vars
        or set(prior.categories) != set(variables.discrete_vars)
        or prior.only_where != variables.only_where
        or prior.missing != variables.missing
        or prior.bounds != variables.bounds
    ):
        raise ValueError("the prior was fitted with other targets, conditions or rules")
