"""The Synthesizer: fit amounts given conditions on records, generate them for other conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import polars as pl
from narwhals.typing import IntoFrameT

from microplex_pipeline.estimator import Estimator, not_fitted
from microplex_pipeline.frames import to_polars, with_columns
from microplex_pipeline.synthesis.imputation import impute_records
from microplex_pipeline.synthesis.input_checks import (
    check_factors,
    check_missing,
    check_names,
    check_options,
    check_seed,
    check_targets,
    check_training,
    check_whole,
    require_columns,
)
from microplex_pipeline.synthesis.model_file import (
    LARGEST_COUNT,
    LARGEST_TAIL,
    read_model,
    write_model,
)
from microplex_pipeline.synthesis.models.flow import Flow
from microplex_pipeline.synthesis.models.training_settings import (
    FINE_TUNING,
    PRIVATE_TRAINING,
    TrainingSettings,
)
from microplex_pipeline.synthesis.models.weights import checked_weights
from microplex_pipeline.synthesis.models.zero_model import ZeroModel
from microplex_pipeline.synthesis.parts import Parts, Variables, fit_parts, losses_by_epoch
from microplex_pipeline.synthesis.privacy.privacy_budget import (
    PrivacyBudget,
    PrivacySpent,
    StoredPrivacy,
)
from microplex_pipeline.synthesis.privacy.private_parts import fit_private_parts
from microplex_pipeline.synthesis.transforms.identities import Identities, parse_identities
from microplex_pipeline.synthesis.transforms.identity_kinds import Identity
from microplex_pipeline.synthesis.transforms.only_where import (
    OnlyWhere,
    given_form,
    parse_only_where,
)
from microplex_pipeline.synthesis.transforms.target_transforms import Missing
from microplex_pipeline.synthesis.transforms.transformer import Transformer

if TYPE_CHECKING:
    from microplex_pipeline.synthesis.models.training import Progress

MOST_PARTICLES = 10_000
MARGINS = ("atom_holders", "max_knots", "tail_factor")
STORED = ("seed", "target_vars", *MARGINS)  # parameters kept in the file, for a refit


class Synthesizer(Estimator):
    """Conditional synthesis of amounts that are mostly zero, heaped, skewed and signed.

    The model is an exact likelihood, log p(y | c) = log P(classes | c) + log p(magnitudes | classes, c).
    A masked autoregressive zero model gives the targets' classes: the signs of amounts, and categories.
    A conditional flow gives the magnitudes that are not zero, in the rank space of fitted marginals.

    Parameters
    ----------
    target_vars : columns to generate: amounts of any sign, or categories if in `discrete_vars`.
    condition_vars : columns given at generation: numbers, text or truth values; missing values are
        allowed. The first one orders the stratified draws.
    discrete_vars : the targets that are categories; None for none. Those that `target_vars` does not name are
        targets, too, after the others.
    only_where : structural zeros, {target: earlier target that must be non-zero} or
        {target: (condition, value that it must have)}; the target is zero in all other records.
    missing : what nulls are, by target that may have any: "at_random", a value that exists and was not
        observed, whose term is left out of the likelihood; "class", a class of its own, such as those to
        whom a question does not apply, drawn as null.
    identities : what holds between columns in every row, by target: a `Sum` or `Product` of columns, from
        which the target is computed; `PartOf` a whole, of which its share is modelled; `Between` bounds.
    atom_holders : only a value held by at least this many training records may be reproduced as a point
        mass; every other amount is drawn from a density.
    max_knots : number of knots of each continuous margin; fewer knots smooth more.
    tail_factor : bound of the amounts drawn, as a multiple of the largest training amount.
    settings : hyper-parameters of the networks; None for the defaults of `TrainingSettings`, or of
        `PrivateTrainingSettings` with a privacy budget.
    n_layers, hidden_dim : hidden layers of every network, and units of each; None for those of `settings`.
    privacy : budget of a differentially private fit; None for a fit without a formal guarantee.
    seed : decides training; `generate` takes its own seed.

    Attributes
    ----------
    is_fitted_ : whether `fit` has run.
    transformer_, zero_model_, flow_model_ : the fitted parts, each of which can be stored by itself.
    training_history_ : losses by epoch, (epochs + 1,): the best held-out losses so far, in nats per record,
        summed over the networks; the first is that before training.
    training_details_ : frame with one row per network and check (nats per record).
    privacy_ : the privacy that the fit spent; None without a budget, and if composed from parts.
    n_records_ : number of records that trained; None with a privacy budget, and if the synthesizer was
        loaded or composed from parts.

    Raises
    ------
    ValueError
        If columns are named twice, a rule cannot be applied, or an option is out of range.

    Examples
    --------
    >>> import polars as pl
    >>> from microplex_pipeline import Synthesizer
    >>> people = pl.DataFrame(
    ...     {"age": [25, 40, 55, 70] * 50, "wage": [0, 30_000, 45_000, 0] * 50, "weight": 1.0}
    ... )
    >>> synthesizer = Synthesizer(["wage"], ["age"], seed=1)
    >>> synthesizer.fit(people, weight_col="weight", epochs=20)
    Synthesizer(target_vars=['wage'], condition_vars=['age'], seed=1)
      targets: 1, conditions: 1, fitted on 200 records
      (transformer): Transformer(amounts=1, categories=0, conditions=1, structural_zeros=0)
      (zero_model): ZeroModel(targets=1, classes=2, ..., held_out_loss=...)
      (flow): Flow(densities=1, layers=2, hidden=64, parameters=..., held_out_loss=...)
    >>> drawn = synthesizer.generate(pl.DataFrame({"age": [25] * 100 + [40] * 100}), seed=0)
    >>> drawn.columns
    ['age', 'wage']
    >>> (drawn["wage"][:100] == 0).mean() > 0.9, (drawn["wage"][100:] > 0).mean() > 0.9
    (True, True)
    >>> synthesizer.log_prob(people).shape
    (200,)
    """

    def __init__(
        self,
        target_vars: Sequence[str],
        condition_vars: Sequence[str],
        discrete_vars: Sequence[str] | None = None,
        *,
        only_where: Mapping[str, str | tuple[str, Any]] | None = None,
        missing: Mapping[str, Missing] | None = None,
        identities: Mapping[str, Identity] | None = None,
        atom_holders: int = 3,
        max_knots: int = 80,
        tail_factor: float = 2.0,
        settings: TrainingSettings | None = None,
        n_layers: int | None = None,
        hidden_dim: int | None = None,
        privacy: PrivacyBudget | None = None,
        seed: int = 0,
    ) -> None:
        check_options(
            lists={
                "target_vars": target_vars,
                "condition_vars": condition_vars,
                "discrete_vars": discrete_vars,
            },
            ranges={
                "atom_holders": (atom_holders, 1, LARGEST_COUNT),
                "max_knots": (max_knots, 1, LARGEST_COUNT),
                "tail_factor": (tail_factor, 1.0, LARGEST_TAIL),
            },
        )
        check_whole("seed", seed)
        for name, size in {"n_layers": n_layers, "hidden_dim": hidden_dim}.items():
            if size is not None:
                check_whole(name, size, 1)
        self.target_vars = list(target_vars)
        self.condition_vars = list(condition_vars)
        self.discrete_vars = list(discrete_vars) if discrete_vars else None
        self.only_where = dict(only_where) if only_where else None
        self.missing = dict(missing) if missing else None
        self.identities = dict(identities) if identities else None
        self.atom_holders = atom_holders
        self.max_knots = max_knots
        self.tail_factor = tail_factor
        self.settings = settings
        self.n_layers = n_layers
        self.hidden_dim = hidden_dim
        self.privacy = privacy
        self.seed = seed
        check_names(self._targets, self.condition_vars, self._discrete)
        check_missing(self.missing or {}, self._targets)
        if not self._variables().target_vars:  # refuses impossible rules, too
            raise ValueError("every target is computed by an identity: there is nothing to draw")
        if privacy is not None and self.identities:
            raise ValueError(
                "identities are learned from the records without noise, which a privacy budget does not "
                "allow: compute the columns after `generate`"
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
        factors: np.ndarray | None = None,
    ) -> Self:
        """Fit transformer, zero model and flow.

        Parameters
        ----------
        data : polars, pandas or pyarrow frame of training records.
        weight_col : column of survey weights. By default `weight` if there is such a column, and equal
            weights if not, as in `Reweighter`; None for equal weights. Weights are scaled to a mean of
            one; a record of weight zero does not train.
        epochs, batch_size, learning_rate : override the settings for this fit.
        verbose : print a line per network.
        progress : function that receives these lines instead.
        prior : a synthesizer of the same variables, fitted on a larger population of which `data` are
            a small area. Margins are shrunk towards the prior's margins and its networks are fine-tuned,
            with `FINE_TUNING` instead of the settings.
        factors : (n,) positive factors of a bootstrap replicate, such as `rng.exponential(size=n)` (Rubin
            1981, The Bayesian bootstrap, Annals of Statistics 9, 130-134): the fit counts each record so
            many times. Unlike weights, they are not tempered (`TrainingSettings.weight_power`). None
            for the records as they are.

        Raises
        ------
        ValueError
            For missing columns, missing or infinite targets, unusable weights or factors, too few records,
            an identity that does not hold in some records, or a prior of other variables. With a privacy
            budget also for a prior or factors, and for values outside of the budget's bounds and
            categories.
        ImportError
            With a privacy budget, if opacus is not installed.
        NotFittedError
            If the prior is not fitted.
        """
        given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
        changed = {k: v for k, v in given.items() if v is not None}
        start = self._training_settings if prior is None else FINE_TUNING
        settings = TrainingSettings(**{**start.model_dump(), **changed})
        if prior is not None and self.privacy is not None:
            raise ValueError("a privacy budget does not account for what a prior has learned")
        if factors is not None and self.privacy is not None:
            raise ValueError("a privacy budget does not account for factors of the records")
        records = to_polars(data)
        frame, weights = self.training_records(records, weight_col)
        if factors is not None:
            check_factors(factors, records.height)
            factors = factors[checked_weights(records, weight_col) > 0]
        progress = progress or (print if verbose else None)
        margins = {name: getattr(self, name) for name in MARGINS}
        variables, spent = self._variables(), None
        identities = self._parsed_identities().fitted(frame)
        if self.privacy is None:
            parts = fit_parts(
                identities.free(frame), weights, variables, margins, settings, self.seed,
                prior=None if prior is None else prior._fitted_parts(), factors=factors,
                progress=progress,
            )  # fmt: skip
        else:
            weights = self.privacy.scaled(frame, weight_col)
            parts, spent = fit_private_parts(
                frame, weights, variables, margins, settings, self.seed, self.privacy, progress
            )
        self._set_parts(parts, None if spent else frame.height, identities, spent)
        return self

    def training_records(
        self, data: pl.DataFrame, weight_col: str | None
    ) -> tuple[pl.DataFrame, np.ndarray]:
        """Check records; return those with positive weight, and their weights (n,), of mean one.

        Raises
        ------
        ValueError
            See `fit`.
        """
        require_columns(data, [*self._targets, *self.condition_vars])
        weights = checked_weights(data, weight_col)
        data, weights = data.filter(weights > 0), weights[weights > 0]
        nulls = self.missing or {}
        data = data.with_columns(data[n].fill_nan(None) for n in nulls if data[n].dtype.is_float())
        check_training(data, self._targets, self._discrete, nulls)
        return data, weights / weights.mean()

    @classmethod
    def from_parts(cls, transformer: Transformer, zero_model: ZeroModel, flow: Flow) -> Self:
        """Compose a fitted synthesizer from parts that were fitted or read one by one.

        Raises
        ------
        ValueError
            If the parts do not belong together.
        """
        return cls._composed(Parts(transformer, zero_model, flow).checked())

    @classmethod
    def _composed(
        cls,
        parts: Parts,
        identities: Identities | None = None,
        spent: PrivacySpent | None = None,
        **options: Any,
    ) -> Self:
        transformer = parts.transformer
        identities = identities or Identities(transformer.bounds, {})
        result = cls(
            options.pop("target_vars", transformer.target_vars),
            transformer.condition_vars,
            transformer.categories,
            only_where=given_form(transformer.only_where, transformer.target_vars),
            missing=transformer.missing,
            identities=identities.of_target,
            **options,
        )
        modelled, _, _, _, _, bounds = result._variables()
        if list(modelled) != transformer.target_vars or bounds != transformer.bounds:
            raise ValueError("the identities do not fit the transformer's targets: fit it again")
        result._set_parts(parts, None, identities, spent)
        return result

    def _set_parts(
        self,
        parts: Parts,
        n_records: int | None,
        identities: Identities,
        spent: PrivacySpent | None,
    ) -> None:
        self.privacy_ = spent
        self.transformer_, self.zero_model_, self.flow_model_ = parts
        self.training_details_ = parts.training_details()
        self.training_history_ = losses_by_epoch(self.training_details_)
        self.n_records_ = n_records
        self._identities = identities

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
        seed : the same seed gives the same records; None draws new ones at each call.
        draws : "stratified" removes sampling noise from totals and distributions; "independent"
            makes rows independent of each other, as variance estimation needs.
        no_copies_of : frame of records, such as the training data, or None. A drawn record that equals
            one of them in all conditions and targets, and has at least two non-zero amounts, is drawn
            again. The model itself keeps no records.

        Returns
        -------
        A frame of the caller's kind: the given columns, and the targets.

        Raises
        ------
        ValueError
            For a missing column, an unknown category, or a value that is missing although training had
            no missing values; if some conditions allow nothing but copies; for `no_copies_of` after a fit
            with a privacy budget.
        NotFittedError
            If the synthesizer is not fitted.
        """
        parts = self._fitted_parts()
        check_seed(seed)
        if draws not in ("stratified", "independent"):
            raise ValueError(f"draws must be 'stratified' or 'independent', not {draws!r}")
        if no_copies_of is not None and self.privacy_ is not None:
            raise ValueError(
                "no_copies_of would tell which records there are: the privacy budget does not allow it"
            )
        given, identities = to_polars(conditions), self._identities
        columns = parts.draw(
            given,
            seed,
            stratified=draws == "stratified",
            no_copies_of=None
            if no_copies_of is None
            else identities.free(to_polars(no_copies_of)),
        )
        if identities.of_target:
            whole = identities.complete(given.with_columns(columns))
            columns = whole.select(self._targets).get_columns()
        return with_columns(conditions, columns)

    def implicates(self, conditions: Any, n: int, seed: int | None = None) -> list[Any]:
        """Draw the targets n times, each time like `generate`, with independent draws and a new seed.

        The variation between the implicates is the uncertainty of the draw: add it to a statistic's
        variance by Rubin's rules (Rubin 1987, Multiple Imputation for Nonresponse in Surveys).

        Raises
        ------
        ValueError, NotFittedError
            See `generate`; also if n is below 1.
        """
        check_whole("n", n, 1)
        check_seed(seed)
        seeds = np.random.SeedSequence(seed).generate_state(n)
        return [self.generate(conditions, int(s), draws="independent") for s in seeds]

    def impute(
        self,
        data: IntoFrameT,
        seed: int | None = None,
        *,
        particles: int = 64,
        flags: bool = False,
    ) -> IntoFrameT:
        """Fill the nulls of targets, given the conditions and all observed targets of their rows.

        Observed values are never changed. Nulls of targets that are a class of their own (see `missing`)
        stay. Draws of different rows are independent. `synthesis.imputed_shares` says how much is imputed.

        Parameters
        ----------
        data : frame with the condition and target columns; its other columns are kept.
        seed : the same seed gives the same values; None draws new ones at each call.
        particles : number of candidates per incomplete row, from 1 to 10,000. More of them follow what is
            observed later in the order of the targets more closely; see `synthesis.imputation`.
        flags : add a truth value per target, target_imputed, that says which values were missing.

        Returns
        -------
        A frame of the caller's kind.

        Raises
        ------
        ValueError
            For a missing column, values that cannot be used, an observed sign or category that did not
            occur in training, or observed values that contradict an identity or cannot be kept under it.
        NotFittedError
            If the synthesizer is not fitted.
        """
        parts, identities = self._fitted_parts(), self._identities
        check_seed(seed)
        check_options({}, {"particles": (particles, 1, MOST_PARTICLES)})
        frame = to_polars(data)
        require_columns(frame, self._targets)
        frame = frame.with_columns(
            frame[n].fill_nan(None) for n in self._targets if frame[n].dtype.is_float()
        )
        check_targets(frame, self._targets, self._discrete, self._targets)
        known = identities.solved(frame)
        columns, _ = impute_records(identities.free(known), parts, seed, particles)
        if identities.of_target:
            whole = identities.complete(known.with_columns(columns))
            # a part goes through its share, which is rounded
            columns = [
                pl.select(pl.coalesce(known[name], whole[name]).alias(name)).to_series()
                for name in self._targets
            ]
        if flags:
            columns += [
                (frame[c.name].is_null() & c.is_not_null()).alias(f"{c.name}_imputed")
                for c in columns
            ]
        return with_columns(data, columns)

    def imputations(
        self,
        data: Any,
        n: int,
        seed: int | None = None,
        *,
        weight_col: str | None = "weight",
        prior: Synthesizer | None = None,
        particles: int = 64,
    ) -> list[Any]:
        """Fit n models, each to a Bayesian bootstrap of the records, and fill the nulls with each of them.

        This is multiple imputation: imputations differ by what the values may be, and by what the model may
        be (Rubin 1987, Multiple Imputation for Nonresponse in Surveys, chapter 4). Combine the estimates by
        `evaluation.combining_rules.combine_implicates`. The synthesizer itself is neither used nor changed:
        it need not be fitted.

        Parameters
        ----------
        data : frame with the condition and target columns; its other columns are kept.
        n : number of imputations; each costs a fit.
        seed : the same seed gives the same imputations; None draws new ones at each call.
        weight_col, prior : see `fit`.
        particles : see `impute`.

        Returns
        -------
        n frames of the caller's kind.

        Raises
        ------
        ValueError
            See `fit` and `impute`; also if n is below 1.
        """
        check_whole("n", n, 1)
        check_seed(seed)
        n_records, found = to_polars(data).height, []
        for source in np.random.SeedSequence(seed).spawn(n):
            rng = np.random.default_rng(source)
            model = self.clone().set_params(seed=int(rng.integers(2**31)))
            model.fit(data, weight_col, prior=prior, factors=rng.exponential(size=n_records))
            found.append(model.impute(data, int(rng.integers(2**31)), particles=particles))
        return found

    def log_prob(self, data: IntoFrameT) -> np.ndarray:
        """Return the log-density of each record's targets given its conditions.

        Nats per record in data units, shape (n,): for amounts, the probability on their grid divided by
        the grid's step; for categories, the probability. Targets that are missing at random and computed
        ones add nothing; a part of a whole counts as its share. -inf for a sign or category that did not
        occur in training, beyond the fitted tails, and where an identity does not hold.

        Raises
        ------
        ValueError
            For missing columns, missing or infinite targets, or conditions as in `generate`.
        NotFittedError
            If the synthesizer is not fitted.
        """
        parts, frame, identities = self._fitted_parts(), to_polars(data), self._identities
        require_columns(frame, [*self._targets, *self.condition_vars])
        check_targets(frame, self._targets, self._discrete, self.missing or {})
        nats = parts.log_prob(identities.free(frame))
        broken = [np.zeros(frame.height, bool), *identities.broken(frame).values()]
        return np.where(np.any(broken, axis=0), -np.inf, nats)

    def save(self, path: str | Path) -> None:
        """Write the fitted synthesizer to one file: a zip of JSON and safetensors, no code.

        Raises
        ------
        NotFittedError
            If the synthesizer is not fitted.
        """
        parts = self._fitted_parts()
        options = {name: getattr(self, name) for name in STORED}
        options["settings"] = self._training_settings.model_dump()
        options["identities"] = self._identities.stored()
        options["privacy"] = StoredPrivacy.of(self.privacy, self.privacy_)
        write_model(path, parts, options)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a synthesizer written by `save`.

        Raises
        ------
        ValueError
            If the file is not such an archive, or is damaged.
        OSError
            If the file cannot be read.
        """
        parts, stored = read_model(path)
        options = {name: getattr(stored, name) for name in STORED}
        default = TrainingSettings() if stored.privacy is None else PRIVATE_TRAINING
        if stored.settings.model_dump() != default.model_dump():
            options["settings"] = stored.settings
        given = stored.identities
        identities = Identities(
            {name: identity.identity() for name, identity in given.items()},
            {name: identity.resolution for name, identity in given.items()},
        )
        if stored.privacy:
            options |= {"privacy": stored.privacy.budget, "spent": stored.privacy.spent}
        return cls._composed(parts, identities, **options)

    @property
    def is_fitted_(self) -> bool:
        """Whether `fit` has run, or the synthesizer was loaded."""
        return "transformer_" in vars(self)

    def _fit_summary(self) -> str | None:
        if not self.is_fitted_:
            return None
        summary = self._fitted_parts().summary(self.n_records_)
        return summary if self.privacy_ is None else f"{summary}\n  private: {self.privacy_}"

    @property
    def _targets(self) -> list[str]:
        """The columns to generate, with categories that only `discrete_vars` names last."""
        return [*self.target_vars, *(c for c in self._discrete if c not in self.target_vars)]

    @property
    def _discrete(self) -> list[str]:
        return self.discrete_vars or []

    @property
    def _training_settings(self) -> TrainingSettings:
        start = self.settings or (TrainingSettings() if self.privacy is None else PRIVATE_TRAINING)
        sizes = {} if self.n_layers is None else {"layers": self.n_layers}
        if self.hidden_dim is not None:
            sizes |= {"hidden": self.hidden_dim, "density_hidden": self.hidden_dim}
        return type(start)(**{**start.model_dump(), **sizes})

    def _variables(self) -> Variables:
        """Return the variables with the rules in checked form."""
        names = (self._targets, self.condition_vars, self._discrete)
        rules = parse_only_where(self.only_where, *names)
        identities = self._parsed_identities()
        modelled = identities.modelled(self._targets)
        for part, whole in identities.parts.items():
            if whole in modelled[: modelled.index(part)]:
                rules.setdefault(part, OnlyWhere(whole))  # no part of nothing
        return Variables(modelled, *names[1:], rules, self.missing or {}, identities.bounds)

    def _parsed_identities(self) -> Identities:
        """Return the identities in checked form."""
        elsewhere = {
            "only_where": [
                *(self.only_where or {}),
                *(rule for rule in (self.only_where or {}).values() if isinstance(rule, str)),
            ],
            "missing": list(self.missing or {}),
        }
        names = (self._targets, self.condition_vars, self._discrete)
        return parse_identities(self.identities or {}, *names, elsewhere)

    def _fitted_parts(self) -> Parts:
        if not self.is_fitted_:
            raise not_fitted("this synthesizer is not fitted: call fit first")
        return Parts(self.transformer_, self.zero_model_, self.flow_model_)
