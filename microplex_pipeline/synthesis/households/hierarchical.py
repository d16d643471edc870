"""The HierarchicalSynthesizer: groups and their members, such as households and persons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np
import polars as pl

from microplex_pipeline.estimator import Estimator, not_fitted
from microplex_pipeline.frames import empty_like, like, to_polars, with_columns
from microplex_pipeline.synthesis.households.compositions import (
    ResampledCompositions,
    SynthesizedCompositions,
    seed_of,
)
from microplex_pipeline.synthesis.households.group_imputation import impute_groups
from microplex_pipeline.synthesis.households.hierarchical_file import (
    read_hierarchy,
    write_hierarchy,
)
from microplex_pipeline.synthesis.households.household_schema import N_MEMBERS, HouseholdSchema
from microplex_pipeline.synthesis.households.membership import (
    WEIGHT,
    check_membership,
    described,
    joined,
    numbered,
)
from microplex_pipeline.synthesis.households.summaries import as_known, draw_in_turn, with_earlier
from microplex_pipeline.synthesis.input_checks import check_options, check_seed, check_whole
from microplex_pipeline.synthesis.models.training_settings import TrainingSettings
from microplex_pipeline.synthesis.models.weights import checked_weights
from microplex_pipeline.synthesis.synthesizer import Synthesizer

SKELETONS = ("resampled", "synthesized")
COMPOSITION, MEMBERS, GROUPS = range(3)  # independent random numbers for each


class Calibration(Protocol):
    """What calibrates weights, as `Reweighter` does."""

    def fit_transform(
        self, records: Any, targets: Any, weight_col: str, *, household_id: str
    ) -> Any:
        """Return the records with weights that meet the targets."""
        ...


class HierarchicalSynthesizer(Estimator):
    """Synthesis of groups and their members: households and persons, firms and establishments.

    P(group) is a product of conditional probabilities: of the composition (how many members, of which
    kind), of each member's variables given the composition's and those of the members before, and of the
    group's own variables given all members. So members of a group go together.

    Parameters
    ----------
    schema : which columns are what.
    skeleton : "resampled" draws real compositions by weight; "synthesized" draws the number of members and
        their conditions from a model, so that no composition need be real.
    settings : hyper-parameters of the networks; None for the defaults of `TrainingSettings`.
    seed : decides training; `generate` takes its own seed.

    Attributes
    ----------
    members_ : the fitted `Synthesizer` of the members' variables.
    groups_ : that of the groups' targets; None if there are none.
    compositions_ : what compositions are drawn from. A loaded synthesizer has none if they are resampled,
        since no records are stored.

    Raises
    ------
    ValueError
        If the skeleton is unknown.

    Examples
    --------
    >>> import polars as pl
    >>> from microplex_pipeline import HierarchicalSynthesizer, HouseholdSchema
    >>> households = pl.DataFrame({"household_id": range(60), "weight": 1.0})
    >>> persons = pl.DataFrame(
    ...     {
    ...         "household_id": [k for k in range(60) for _ in range(2)],
    ...         "person_id": range(120),
    ...         "age": [30, 32, 70, 68] * 30,
    ...         "wage": [40_000, 40_000, 0, 0] * 30,
    ...     }
    ... )
    >>> schema = HouseholdSchema(["wage"], ["age"], derived_vars={"income": "sum:wage"})
    >>> synthesizer = HierarchicalSynthesizer(schema).fit(households, persons, epochs=20)
    >>> groups, members = synthesizer.generate(100, seed=0)
    >>> groups.columns
    ['household_id', 'n_members', 'weight', 'income']
    >>> members.columns
    ['household_id', 'person_id', 'age', 'wage']
    >>> groups.height, members.height
    (100, 200)
    """

    def __init__(
        self,
        schema: HouseholdSchema,
        *,
        skeleton: Literal["resampled", "synthesized"] = "resampled",
        settings: TrainingSettings | None = None,
        seed: int = 0,
    ) -> None:
        if skeleton not in SKELETONS:
            raise ValueError(f"skeleton must be one of {', '.join(SKELETONS)}, not {skeleton!r}")
        check_whole("seed", seed)
        self.schema = schema
        self.skeleton = skeleton
        self.settings = settings
        self.seed = seed

    def fit(
        self,
        groups: Any,
        members: Any,
        weight_col: str | None = "weight",
        *,
        epochs: int | None = None,
        prior: HierarchicalSynthesizer | None = None,
    ) -> Self:
        """Fit the models of compositions, members and groups.

        Parameters
        ----------
        groups : polars, pandas or pyarrow frame, one row per group.
        members : frame of the same kind, one row per member, in order within its group.
        weight_col : column of `groups` with survey weights. By default `weight` if there is such a column,
            and equal weights if not; None for equal weights.
        epochs : largest number of passes over the data; None for the settings' number.
        prior : a synthesizer of the same schema, fitted to a larger population. The models of members and
            of groups' targets start from it, as in `Synthesizer.fit`; so do those of compositions, if both
            synthesize them.

        Raises
        ------
        ValueError
            If a column is missing, a group's or member's number occurs twice, a member has no group or a
            group no member; and as `Synthesizer.fit`.
        NotFittedError
            If the prior is not fitted.
        """
        schema = self.schema
        if prior is not None:
            prior._require_fitted()
            if prior.schema != schema:
                raise ValueError("the prior was fitted with another schema")
        of_groups, of_members = to_polars(groups), to_polars(members)
        named = {*schema.group_vars, *schema.group_target_vars, *schema.derived_vars}
        if (weight_col or "weight") in named:
            raise ValueError(
                f"{weight_col or 'weight'!r} is the column of weights, and cannot be one of the schema's: "
                "rename it, or name the weights in `weight_col`"
            )
        check_membership(of_groups, of_members, schema, weight_col, drawn=True)
        weights = checked_weights(of_groups, weight_col)
        of_groups = of_groups.with_columns(pl.Series(WEIGHT, weights))
        whole = joined(of_groups, of_members, schema)
        if prior is None and whole.height == of_groups.height:
            raise ValueError(
                "no group has a second member, so there is nothing to learn of how members go together: use "
                "Synthesizer"
            )
        told = with_earlier(whole, schema.earlier, schema.group_id)
        options: dict[str, Any] = {"settings": self.settings, "seed": self.seed}
        members_model = Synthesizer(
            schema.member_vars, schema.member_conditions, schema.discrete_of_members,
            only_where=schema.only_where, missing=schema.missing_of_members, **options,
        ).fit(told, WEIGHT, epochs=epochs, prior=None if prior is None else prior.members_)  # fmt: skip
        groups_model = None
        if schema.group_target_vars:
            groups_model = Synthesizer(
                schema.group_target_vars, schema.group_conditions, schema.discrete_of_groups,
                missing=schema.missing_of_groups, **options,
            ).fit(
                described(of_groups, whole, schema), WEIGHT, epochs=epochs,
                prior=None if prior is None else prior.groups_,
            )  # fmt: skip
        compositions: ResampledCompositions | SynthesizedCompositions | None
        if self.skeleton == "resampled":
            compositions = ResampledCompositions.fit(whole, schema)
        else:
            larger = None if prior is None else prior.compositions_
            compositions = SynthesizedCompositions.fit(
                whole, schema, options, epochs,
                larger if isinstance(larger, SynthesizedCompositions) else None,
            )  # fmt: skip
        self._set_parts(members_model, groups_model, compositions)
        self.weight_col_, self.total_weight_ = weight_col or "weight", float(weights.sum())
        self._kind = empty_like(groups)
        return self

    def _set_parts(
        self,
        members: Synthesizer,
        groups: Synthesizer | None,
        compositions: ResampledCompositions | SynthesizedCompositions | None,
    ) -> None:
        self.members_, self.groups_, self.compositions_ = members, groups, compositions

    def generate(
        self,
        n_groups: int,
        seed: int | None = None,
        *,
        draws: Literal["stratified", "independent"] = "stratified",
    ) -> tuple[Any, Any]:
        """Draw groups and their members.

        Parameters
        ----------
        n_groups : number of groups.
        seed : the same seed gives the same records; None draws new ones at each call.
        draws : as in `Synthesizer.generate`.

        Returns
        -------
        Frames of groups and of members, of the kind that trained. Groups have a number, n_members, their
        variables, an equal weight (they add up to the training groups'), targets and derived columns; members
        have their group's number, their own, conditions and variables.

        Raises
        ------
        ValueError
            If n_groups is below 1.
        NotFittedError
            If the synthesizer is not fitted, or was loaded and draws resampled compositions.
        """
        self._require_fitted()
        check_whole("n_groups", n_groups, 1)
        check_seed(seed)
        if self.compositions_ is None:
            raise not_fitted(
                "no records are stored, so a loaded synthesizer cannot resample compositions: give them to "
                "`generate_for`, or fit with skeleton='synthesized'"
            )
        entropy = np.random.SeedSequence(seed).entropy
        drawn = self.compositions_.draw(n_groups, seed_of(entropy, COMPOSITION), self.schema)
        groups, members = self._complete(drawn, int(entropy), draws)  # type: ignore[arg-type]
        return like(self._kind, groups), like(self._kind, members)

    def generate_for(
        self,
        groups: Any,
        members: Any,
        seed: int | None = None,
        *,
        draws: Literal["stratified", "independent"] = "stratified",
    ) -> tuple[Any, Any]:
        """Draw the variables of given groups and members, whose compositions are kept.

        Parameters
        ----------
        groups, members : as for `fit`, with the groups' variables and the members' conditions alone. A
            column of weights is kept if it has the name of the one that trained.
        seed, draws : as in `generate`.

        Returns
        -------
        Frames as from `generate`, of the caller's kind, with the given groups in their order.

        Raises
        ------
        ValueError
            As `fit`, and for conditions as `Synthesizer.generate`.
        NotFittedError
            If the synthesizer is not fitted.
        """
        self._require_fitted()
        check_seed(seed)
        schema = self.schema
        of_groups, of_members = to_polars(groups), to_polars(members)
        check_membership(of_groups, of_members, schema, None, drawn=False)
        known = of_members.drop(schema.member_vars, strict=False)
        whole = joined(of_groups, known, schema)
        entropy = int(np.random.SeedSequence(seed).entropy)  # type: ignore[arg-type]
        drawn, drawn_members = self._complete(whole, entropy, draws)
        drawn = of_groups.select(schema.group_id).join(
            drawn, on=schema.group_id, maintain_order="left"
        )
        if self.weight_col_ in of_groups.columns:
            drawn = drawn.with_columns(of_groups[self.weight_col_])
        return like(groups, drawn), like(members, drawn_members)

    def impute(
        self, groups: Any, members: Any, seed: int | None = None, *, particles: int = 16
    ) -> tuple[Any, Any]:
        """Fill the nulls of members' variables and groups' targets, given all that is observed in the group.

        Each incomplete group is completed `particles` times, member by member, each by as many candidates
        (see `Synthesizer.impute`); one completion is kept, drawn in proportion to the probability that it
        gives to what is observed of the later members and of the group. Observed values are never changed.

        Parameters
        ----------
        groups, members : as for `fit`, with nulls.
        seed : the same seed gives the same values; None draws new ones at each call.
        particles : number of completions of a group, and of candidates per member, from 1 to 1,000.

        Returns
        -------
        The two frames, of the caller's kind, with their columns and rows in order.

        Raises
        ------
        ValueError
            As `fit` and `Synthesizer.impute`.
        NotFittedError
            If the synthesizer is not fitted.
        """
        self._require_fitted()
        check_seed(seed)
        check_options({}, {"particles": (particles, 1, 1_000)})
        of_groups, of_members = to_polars(groups), to_polars(members)
        check_membership(of_groups, of_members, self.schema, None, drawn=True)
        entropy = int(np.random.SeedSequence(seed).entropy)  # type: ignore[arg-type]
        columns = impute_groups(
            of_groups, of_members, self.schema, self.members_, self.groups_, entropy, particles
        )
        return with_columns(groups, columns[0]), with_columns(members, columns[1])

    def reweight(
        self, groups: Any, members: Any, targets: Any, calibration: Calibration
    ) -> tuple[Any, Any]:
        """Return groups and members with weights that meet targets; members have their group's weight.

        Parameters
        ----------
        groups, members : as from `generate`.
        targets : `Targets` on columns of members or groups.
        calibration : a `Reweighter`, or what calibrates as it does.

        Raises
        ------
        ValueError
            If members and groups do not belong together, see `fit`; as the calibration.
        NotFittedError
            If the synthesizer is not fitted.
        """
        self._require_fitted()
        schema = self.schema
        of_groups, of_members = to_polars(groups), to_polars(members)
        check_membership(of_groups, of_members, schema, self.weight_col_, drawn=False)
        whole = of_members.join(of_groups, on=schema.group_id, maintain_order="left")
        weight = self.weight_col_
        found = calibration.fit_transform(whole, targets, weight, household_id=schema.group_id)
        weights = found.select(schema.group_id, weight)
        of_group = weights.unique(schema.group_id, maintain_order=True)
        reweighted = of_groups.drop(weight).join(
            of_group, on=schema.group_id, maintain_order="left"
        )
        return (
            like(self._kind, reweighted.select(of_groups.columns)),
            like(self._kind, of_members.with_columns(weights[weight])),
        )

    def generate_and_reweight(
        self, n_groups: int, targets: Any, calibration: Calibration, seed: int | None = None
    ) -> tuple[Any, Any]:
        """Draw groups and members, and calibrate their weights; see `generate` and `reweight`."""
        return self.reweight(*self.generate(n_groups, seed), targets, calibration)

    def log_prob(self, groups: Any, members: Any) -> np.ndarray:
        """Return the log-density of each group: its members', its targets', and a synthesized composition's.

        Nats per group in data units, shape (n,), in the order of `groups`. Given the composition if
        compositions are resampled.

        Raises
        ------
        ValueError
            As `fit`.
        NotFittedError
            If the synthesizer is not fitted.
        """
        self._require_fitted()
        schema = self.schema
        of_groups, of_members = to_polars(groups), to_polars(members)
        check_membership(of_groups, of_members, schema, None, drawn=True)
        whole = joined(of_groups, of_members, schema)
        told = with_earlier(whole, schema.earlier, schema.group_id)
        told = as_known(told, self.members_, schema.earlier)
        terms = [whole.select(schema.group_id, pl.Series("nats", self.members_.log_prob(told)))]
        if self.groups_ is not None:
            nats = self.groups_.log_prob(described(of_groups, whole, schema))
            terms.append(of_groups.select(schema.group_id, pl.Series("nats", nats)))
        if isinstance(self.compositions_, SynthesizedCompositions):
            terms.append(self.compositions_.log_prob(whole, schema))
        total = (
            pl.concat(terms)
            .group_by(schema.group_id, maintain_order=True)
            .agg(pl.col("nats").sum())
        )
        ordered = of_groups.select(schema.group_id).join(
            total, on=schema.group_id, maintain_order="left"
        )
        return ordered["nats"].to_numpy()

    def save(self, folder: str | Path) -> None:
        """Write the schema (JSON) and each fitted synthesizer to a folder. Records are not stored.

        Raises
        ------
        NotFittedError
            If the synthesizer is not fitted.
        FileExistsError
            If the folder exists and is not empty.
        """
        self._require_fitted()
        about = {
            "schema": asdict(self.schema),
            "skeleton": self.skeleton,
            "weight_col": self.weight_col_,
            "total_weight": self.total_weight_,
        }
        write_hierarchy(Path(folder), about, self._synthesizers())

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a synthesizer written by `save`.

        Raises
        ------
        ValueError
            If a file is damaged, or the files do not belong together.
        OSError
            If a file cannot be read.
        """
        about, found = read_hierarchy(Path(folder))
        members = found["members"]
        result = cls(
            about.household_schema,
            skeleton=about.skeleton,
            settings=members.settings,
            seed=members.seed,
        )
        result.weight_col_, result.total_weight_ = about.weight_col, about.total_weight
        compositions = None
        if result.skeleton == "synthesized":
            compositions = SynthesizedCompositions(found["compositions"], found.get("kinds"))
        result._set_parts(members, found.get("groups"), compositions)
        result._kind = pl.DataFrame()
        return result

    @property
    def is_fitted_(self) -> bool:
        """Whether `fit` has run, or the synthesizer was loaded."""
        return "members_" in vars(self)

    def _synthesizers(self) -> Mapping[str, Synthesizer]:
        found = {"members": self.members_, "groups": self.groups_}
        if isinstance(self.compositions_, SynthesizedCompositions):
            found |= {
                "compositions": self.compositions_.groups,
                "kinds": self.compositions_.members,
            }
        return {
            name: synthesizer for name, synthesizer in found.items() if synthesizer is not None
        }

    def _require_fitted(self) -> None:
        if not self.is_fitted_:
            raise not_fitted("this synthesizer is not fitted: call fit first")

    def _complete(
        self, skeleton: pl.DataFrame, entropy: int, draws: Any
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Draw everything but the composition."""
        schema = self.schema
        drawn = draw_in_turn(
            numbered(skeleton, schema), schema.earlier, schema.group_id,
            lambda turn, seed: self.members_.generate(
                as_known(turn, self.members_, schema.earlier), seed, draws=draws
            ),
            lambda place: seed_of(entropy, MEMBERS, place),
        )  # fmt: skip
        groups = drawn.select(schema.group_id, *schema.group_vars).unique(
            schema.group_id, maintain_order=True
        )
        groups = described(groups, drawn, schema)
        if self.groups_ is not None:
            groups = self.groups_.generate(groups, seed_of(entropy, GROUPS), draws=draws)
        weight = pl.lit(self.total_weight_ / groups.height).alias(self.weight_col_)
        groups = groups.select(
            schema.group_id, N_MEMBERS, *schema.group_vars, weight, *schema.group_target_vars,
            *schema.derived_vars,
        )  # fmt: skip
        members = drawn.select(
            schema.group_id, schema.member_id, *schema.member_condition_vars, *schema.member_vars
        )
        return groups, members
