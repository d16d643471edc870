"""The Synthesizer: fit amounts given conditions on records, generate them for other conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from narwhals.typing import IntoFrameT

from microplex_pipeline.frames import to_polars, with_columns
from microplex_pipeline.synthesis.copies import without_copies
from microplex_pipeline.synthesis.drawing import draw_records
from microplex_pipeline.synthesis.flow import Flow
from microplex_pipeline.synthesis.input_checks import (
    check_names,
    check_options,
    check_targets,
    check_training,
    require_columns,
)
from microplex_pipeline.synthesis.model_file import Parts, damaged, read_model, write_model
from microplex_pipeline.synthesis.only_where import parse_only_where
from microplex_pipeline.synthesis.target_transforms import CategoryTransform
from microplex_pipeline.synthesis.training import (
    FINE_TUNING,
    Progress,
    TrainingSettings,
    one_thread,
)
from microplex_pipeline.synthesis.transformer import Transformer
from microplex_pipeline.synthesis.weights import checked_weights
from microplex_pipeline.synthesis.zero_model import ZeroModel

OPTIONS = ("seed", "atom_holders", "max_knots", "tail_factor")  # kept with the model, for a refit


class Synthesizer:
    """Conditional synthesis of amounts that are mostly zero, heaped, skewed and signed.

    The model is an exact likelihood, log p(y | c) = log P(states | c) + log p(magnitudes | states,
    c): a masked autoregressive zero model over the targets' signs and categories, then a conditional
    flow over the magnitudes that are not zero, in the rank space of fitted marginals.

    Parameters
    ----------
    target_vars : columns to generate: amounts (any sign), or categories if in `discrete_vars`.
    condition_vars : columns given at generation: numbers, text, truth values, with missing values.
        The first one orders the stratified draws.
    discrete_vars : the targets that are categories.
    only_where : structural zeros, {target: earlier target that must be non-zero} or
        {target: (condition, value that it must have)}; the target is zero everywhere else.
    atom_holders : only a value held by so many training records may be reproduced as a point mass;
        every other amount is drawn from a density.
    max_knots : knots of each continuous margin; fewer smooth more.
    tail_factor : bound of the amounts drawn, as a multiple of the largest training amount.
    settings : hyper-parameters of the networks.
    seed : decides training; `generate` takes its own.

    Attributes
    ----------
    is_fitted_ : whether `fit` has run.
    transformer_, zero_model_, flow_model_ : the fitted parts, each storable by itself.
    training_history_ : frame with one row per network and check (nats a record).
    """

    def __init__(
        self,
        target_vars: Sequence[str],
        condition_vars: Sequence[str],
        discrete_vars: Sequence[str] | None = None,
        *,
        only_where: Mapping[str, str | tuple[str, Any]] | None = None,
        atom_holders: int = 3,
        max_knots: int = 80,
        tail_factor: float = 2.0,
        settings: TrainingSettings | None = None,
        seed: int = 0,
    ) -> None:
        check_options(
            lists={"target_vars": target_vars, "condition_vars": condition_vars},
            ranges={
                "atom_holders": (atom_holders, 1, np.inf),
                "max_knots": (max_knots, 1, np.inf),
                "tail_factor": (tail_factor, 1.0, 1e6),
            },
        )
        self.target_vars = list(target_vars)
        self.condition_vars = list(condition_vars)
        self.discrete_vars = list(discrete_vars or [])
        self.atom_holders = atom_holders
        self.max_knots = max_knots
        self.tail_factor = tail_factor
        self.settings = settings or TrainingSettings()
        self.seed = seed
        self.is_fitted_ = False
        check_names(self.target_vars, self.condition_vars, self.discrete_vars)
        self.only_where = parse_only_where(
            only_where, self.target_vars, self.condition_vars, self.discrete_vars
        )

    def fit(
        self,
        data: IntoFrameT,
        weight_col: str | None = "weight",
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        verbose: bool = False,
        progress: Progress | None = None,
        prior: Synthesizer | None = None,
    ) -> Self:
        """Fit transformer, zero model and flow.

        Parameters
        ----------
        data : polars, pandas or pyarrow frame of training records.
        weight_col : column of survey weights; None for equal weights.
        epochs, batch_size, learning_rate : override the settings for this fit.
        verbose : print a line per network.
        progress : is given that line instead.
        prior : a synthesizer of the same variables, fitted on a larger population of which `data` are
            a small area. Margins are shrunk towards its margins and its networks are fine-tuned, with
            `FINE_TUNING` in the place of the settings.

        Raises
        ------
        ValueError
            For missing columns, missing or infinite targets, unusable weights, too few records.
        """
        given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
        changed = {k: v for k, v in given.items() if v is not None}
        start = self.settings if prior is None else FINE_TUNING
        settings = TrainingSettings(**{**start.model_dump(), **changed})
        frame, weights = self.training_records(to_polars(data), weight_col)
        progress = progress or (print if verbose else None)
        if prior is not None:
            self._check_prior(prior)
        transformer = Transformer.fit(
            frame,
            self.target_vars,
            self.condition_vars,
            weights,
            self.discrete_vars,
            self.only_where,
            atom_holders=self.atom_holders,
            max_knots=self.max_knots,
            tail_factor=self.tail_factor,
            prior=prior.transformer_ if prior else None,
        )
        zero_model = ZeroModel.fit(
            frame,
            transformer,
            weights,
            settings,
            self.seed,
            prior=prior.zero_model_ if prior else None,
            progress=progress,
        )
        flow = Flow.fit(
            frame,
            transformer,
            weights,
            settings,
            self.seed,
            prior=prior.flow_model_ if prior else None,
            progress=progress,
        )
        self._set_parts(transformer, zero_model, flow)
        return self

    def training_records(
        self, data: pl.DataFrame, weight_col: str | None
    ) -> tuple[pl.DataFrame, np.ndarray]:
        """Check records and return those that train, with their weights (n,), of mean one.

        Records of zero weight are left out.

        Raises
        ------
        ValueError
            As `fit`.
        """
        named = [*self.target_vars, *self.condition_vars]
        require_columns(data, named if weight_col is None else [*named, weight_col])
        weights = checked_weights(data, weight_col)
        data, weights = data.filter(weights > 0), weights[weights > 0]
        check_training(data, self.target_vars, self.discrete_vars)
        return data, weights / weights.mean()

    @classmethod
    def from_parts(cls, transformer: Transformer, zero_model: ZeroModel, flow: Flow) -> Self:
        """Compose a fitted synthesizer from parts that were fitted or read one by one."""
        discrete = [
            v for v, t in transformer.transformers_.items() if isinstance(t, CategoryTransform)
        ]
        result = cls(transformer.target_vars, transformer.condition_vars, discrete)
        result.only_where = transformer.only_where
        result._set_parts(transformer, zero_model, flow)
        return result

    def _set_parts(self, transformer: Transformer, zero_model: ZeroModel, flow: Flow) -> None:
        self.transformer_ = transformer
        self.zero_model_ = zero_model
        self.flow_model_ = flow
        self.training_history_ = pl.DataFrame(
            zero_model.history + flow.history,
            schema={
                "network": pl.String,
                "epoch": pl.Int64,
                "train_loss": pl.Float64,
                "validation_loss": pl.Float64,
            },
        )
        self.is_fitted_ = True

    def generate(
        self,
        conditions: IntoFrameT,
        seed: int | None = None,
        *,
        draws: Literal["stratified", "independent"] = "stratified",
        no_copies_of: Any = None,
    ) -> IntoFrameT:
        """Draw the targets for given conditions.

        Parameters
        ----------
        conditions : frame with the condition columns; its other columns are kept.
        seed : the same seed gives the same records; None draws fresh ones.
        draws : "stratified" takes sampling noise out of totals and distributions; "independent"
            makes rows independent of each other, as variance estimation needs.
        no_copies_of : frame of records, such as the training data, or None. What comes out equal to one
            of them in all conditions and targets, and has two non-zero amounts or more, is drawn again.
            The model itself keeps no records.

        Returns
        -------
        A frame of the caller's kind: the given columns, and the targets.

        Raises
        ------
        ValueError
            For a missing column, an unseen category, a value missing where training had none; if some
            conditions leave nothing but copies.
        RuntimeError
            If the synthesizer is not fitted.
        """
        self._require_fit()
        if draws not in ("stratified", "independent"):
            raise ValueError(f"draws must be 'stratified' or 'independent', not {draws!r}")
        frame = to_polars(conditions)
        require_columns(frame, self.condition_vars)
        if not frame.height:
            raise ValueError("no conditions were given: the frame has no rows")
        parts = self.transformer_, self.zero_model_, self.flow_model_
        with one_thread():
            columns = draw_records(frame, *parts, seed, stratified=draws == "stratified")
            if no_copies_of is not None:
                apart = without_copies(
                    frame.with_columns(columns),
                    to_polars(no_copies_of),
                    self.condition_vars,
                    self.target_vars,
                    self.transformer_.amounts,
                    lambda some, again: draw_records(some, *parts, again, stratified=False),
                    seed,
                )
                columns = [apart[target] for target in self.target_vars]
        return with_columns(conditions, columns)

    def implicates(self, conditions: Any, n: int, seed: int | None = None) -> list[Any]:
        """Draw the targets n times, independently, each as `generate` does with a seed of its own.

        What differs between the implicates is the uncertainty of the draw: add it to a statistic's
        variance by Rubin's rules (Rubin 1987, Multiple Imputation for Nonresponse in Surveys). The draws
        are independent ones.

        Raises
        ------
        ValueError, RuntimeError
            As `generate`; also if n is below 1.
        """
        if n < 1:
            raise ValueError(f"at least one implicate is needed, not {n}")
        seeds = np.random.SeedSequence(seed).generate_state(n)
        return [self.generate(conditions, int(s), draws="independent") for s in seeds]

    def log_prob(self, data: IntoFrameT) -> np.ndarray:
        """Return the log-density of each record's targets given its conditions.

        Nats per record in data units, shape (n,): a probability for amounts on their grid over the
        grid's step, and for categories. -inf for a sign or category that training never saw, and
        beyond the fitted tails.
        """
        self._require_fit()
        frame = to_polars(data)
        require_columns(frame, [*self.target_vars, *self.condition_vars])
        check_targets(frame, self.target_vars, self.discrete_vars)
        signs = self.zero_model_.log_prob(frame, self.transformer_)
        return signs + self.flow_model_.log_prob(frame, self.transformer_)

    def save(self, path: str | Path) -> None:
        """Write the fitted synthesizer to one file: a zip of JSON and safetensors, no code."""
        self._require_fit()
        options = {name: getattr(self, name) for name in OPTIONS}
        options["settings"] = self.settings.model_dump()
        parts = Parts(self.transformer_, self.zero_model_, self.flow_model_)
        write_model(path, parts, options)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a synthesizer written by `save`.

        Raises
        ------
        ValueError
            If the file is no such archive, or is damaged.
        """
        parts, options = read_model(path)
        try:
            result = cls.from_parts(*parts)
            for option in OPTIONS:
                setattr(result, option, options[option])
            result.settings = TrainingSettings(**options["settings"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(Path(path).name, error) from error
        return result

    def _check_prior(self, prior: Synthesizer) -> None:
        prior._require_fit()
        theirs = (prior.target_vars, prior.condition_vars, prior.discrete_vars, prior.only_where)
        if theirs != (
            self.target_vars,
            self.condition_vars,
            self.discrete_vars,
            self.only_where,
        ):
            raise ValueError("the prior was fitted with other targets, conditions or rules")

    def _require_fit(self) -> None:
        if not self.is_fitted_:
            raise RuntimeError("this synthesizer is not fitted: call fit first")
