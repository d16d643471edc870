"""Compositions of groups: how many members, of which kind. Real ones drawn by weight, or synthetic ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.households.household_schema import (
    EVERY_GROUP,
    MEMBER_NUMBER,
    N_MEMBERS,
    HouseholdSchema,
)
from microplex_pipeline.synthesis.households.membership import WEIGHT
from microplex_pipeline.synthesis.households.skeleton import resample_households
from microplex_pipeline.synthesis.households.summaries import as_known, draw_in_turn, with_earlier
from microplex_pipeline.synthesis.input_checks import CATEGORY_TYPES
from microplex_pipeline.synthesis.synthesizer import Synthesizer
from microplex_pipeline.synthesis.transforms.identity_kinds import Between

ATOM_SHARE = 0.025  # of the members, at least, have a number that is drawn as a point mass
MAX_CATEGORIES = 12  # a whole number with more values is drawn as an amount


@dataclass(frozen=True)
class ResampledCompositions:
    """The compositions of the training groups, drawn with probability proportional to weight.

    Attributes
    ----------
    members : group number, weight, the group's variables and the members' conditions; one row per member.
    """

    members: pl.DataFrame

    @classmethod
    def fit(cls, members: pl.DataFrame, schema: HouseholdSchema) -> Self:
        """Keep what compositions consist of.

        Parameters
        ----------
        members : with group variables, and the groups' weights in WEIGHT.
        """
        kept = [*schema.group_vars, *schema.member_condition_vars]
        return cls(members.select(schema.group_id, WEIGHT, *kept))

    def draw(self, n_groups: int, seed: int, schema: HouseholdSchema) -> pl.DataFrame:
        """Return members with new numbers of groups and members, and equal weights."""
        drawn = resample_households(
            self.members, n_groups, seed,
            household_id=schema.group_id, weight=WEIGHT, unit_id=schema.member_id,
        )  # fmt: skip
        return drawn.drop("source_household_id")


@dataclass(frozen=True)
class SynthesizedCompositions:
    """A model of compositions: the group's variables and size, then member by member.

    Attributes
    ----------
    groups : of the number of members and the groups' variables.
    members : of the members' conditions, each member given those before it; None if they have none.
    """

    groups: Synthesizer
    members: Synthesizer | None

    @classmethod
    def fit(
        cls,
        members: pl.DataFrame,
        schema: HouseholdSchema,
        options: dict[str, Any],
        epochs: int | None,
        prior: Self | None = None,
    ) -> Self:
        """Fit both models.

        Parameters
        ----------
        members : with group variables, `n_members`, `member_number`, and weights in WEIGHT.
        options : of the synthesizers.
        epochs : largest number of passes over the data; None for the settings' number.
        prior : of a larger population, of which the groups are a part. Its categories and bounds are used,
            and its models are fine-tuned, see `Synthesizer.fit`.

        Raises
        ------
        ValueError
            As `Synthesizer.fit`: a category that the prior has never seen, among others.
        """
        of_groups = [N_MEMBERS, *schema.group_vars]
        groups = members.filter(pl.col(MEMBER_NUMBER) == 1).with_columns(
            pl.lit(1).alias(EVERY_GROUP)
        )
        groups = groups.with_columns(_numbers(groups, of_groups))
        if prior is None:
            categories = _categories(groups, of_groups, always=[N_MEMBERS])
        else:
            categories = prior.groups.transformer_.categories
        of_size = Synthesizer(of_groups, [EVERY_GROUP], categories, **options).fit(
            groups, WEIGHT, epochs=epochs, prior=None if prior is None else prior.groups
        )
        own = list(schema.member_condition_vars)
        if not own:
            return cls(of_size, None)
        frame = with_earlier(members, schema.earlier_kinds, schema.group_id)
        conditions = schema.composition_conditions["kinds"]
        larger = None if prior is None else prior.members
        bounds: dict[str, Between]
        if larger is None:
            categories = _categories(members, own)
            # kinds of members stay within what was seen: nobody is twice as old as the oldest
            bounds = {
                name: Between(float(members[name].min()), float(members[name].max()))  # type: ignore[arg-type]
                for name in own
                if name not in categories
            }
        else:
            categories, bounds = larger.transformer_.categories, larger.transformer_.bounds
        # an age that a few have is no heap: only top codes and the like come back as such
        atoms = max(3, math.ceil(ATOM_SHARE * members.height))
        model = Synthesizer(
            own, conditions, categories, identities=bounds, atom_holders=atoms, **options
        )
        return cls(of_size, model.fit(frame, WEIGHT, epochs=epochs, prior=larger))

    def draw(self, n_groups: int, seed: int, schema: HouseholdSchema) -> pl.DataFrame:
        """Return members with new numbers of groups and members; their weights are missing."""
        number = pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
        groups = self.groups.generate(
            pl.DataFrame({EVERY_GROUP: [1] * n_groups}), seed_of(seed, 0)
        ).select(number.alias(schema.group_id), pl.all().exclude(EVERY_GROUP))
        members = groups.with_columns(
            pl.int_ranges(1, pl.col(N_MEMBERS) + 1).alias(MEMBER_NUMBER)
        ).explode(MEMBER_NUMBER)
        members = members.with_columns(number.alias(schema.member_id))
        if self.members is None:
            return members
        model = self.members
        return draw_in_turn(
            members, schema.earlier_kinds, schema.group_id,
            lambda turn, seed: model.generate(as_known(turn, model, schema.earlier_kinds), seed),
            lambda place: seed_of(seed, place + 1),
        )  # fmt: skip

    def log_prob(self, members: pl.DataFrame, schema: HouseholdSchema) -> pl.DataFrame:
        """Return group number and log P(composition) in nats, one row per group."""
        groups = members.filter(pl.col(MEMBER_NUMBER) == 1).with_columns(
            pl.lit(1).alias(EVERY_GROUP)
        )
        found = groups.select(schema.group_id, pl.Series("nats", self.groups.log_prob(groups)))
        if self.members is None:
            return found
        frame = with_earlier(members, schema.earlier_kinds, schema.group_id)
        frame = as_known(frame, self.members, schema.earlier_kinds)
        own = members.select(schema.group_id, pl.Series("nats", self.members.log_prob(frame)))
        return (
            pl.concat([found, own])
            .group_by(schema.group_id, maintain_order=True)
            .agg(pl.col("nats").sum())
        )


def _categories(
    frame: pl.DataFrame, columns: Sequence[str], always: Sequence[str] = ()
) -> list[str]:
    return [
        name
        for name in columns
        if name in always
        or frame.schema[name] in CATEGORY_TYPES
        or (frame.schema[name].is_integer() and frame[name].n_unique() <= MAX_CATEGORIES)
    ]


def _numbers(frame: pl.DataFrame, columns: Sequence[str]) -> list[pl.Expr]:
    return [pl.col(name).cast(pl.Int64) for name in columns if frame.schema[name].is_integer()]


def seed_of(entropy: Any, *key: int) -> int:
    """Return the seed of a key, independent of those of all other keys."""
    return int(np.random.SeedSequence(entropy, spawn_key=key).generate_state(1)[0])
