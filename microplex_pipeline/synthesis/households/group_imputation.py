"""Imputation of groups and members: what is missing is drawn given the other members, before and after.

A member is drawn given those before it. What is observed of later members counts by its probability: a group
is completed several times, and one completion is kept, drawn by the probability that it gives to all that is
observed. Within a member that probability is estimated without bias (see `imputation`), which is enough for
draws as from the exact one (Andrieu and Roberts 2009, Annals of Statistics 37: 697-725).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.drawing import invert
from microplex_pipeline.synthesis.households.compositions import seed_of
from microplex_pipeline.synthesis.households.household_schema import HouseholdSchema
from microplex_pipeline.synthesis.households.membership import described, joined
from microplex_pipeline.synthesis.households.summaries import as_known, draw_in_turn
from microplex_pipeline.synthesis.imputation import impute_records
from microplex_pipeline.synthesis.synthesizer import Synthesizer

GROUP, ROW = "\0group", "\0member"
CHOOSING, MEMBERS, GROUPS = range(3)  # independent random numbers for each


def impute_groups(
    groups: pl.DataFrame,
    members: pl.DataFrame,
    schema: HouseholdSchema,
    of_members: Synthesizer,
    of_groups: Synthesizer | None,
    entropy: int,
    particles: int,
) -> tuple[list[pl.Series], list[pl.Series]]:
    """Return the groups' targets and the members' variables with their missing values drawn.

    Parameters
    ----------
    groups, members : checked frames.
    of_members, of_groups : the fitted synthesizers.
    entropy : decides the draws.
    particles : number of completions of a group, and of candidates per member.
    """
    groups, members = _without_nan(groups), _without_nan(members)
    whole = joined(groups, members, schema).with_columns(pl.int_range(pl.len()).alias(ROW))
    lacks = pl.any_horizontal(pl.col(name).is_null() for name in schema.member_vars)
    incomplete = whole.filter(lacks.any().over(schema.group_id))
    if incomplete.height:
        chosen = _completed(incomplete, groups, schema, of_members, of_groups, entropy, particles)
        filled = pl.concat(
            [whole.join(chosen, on=ROW, how="anti").select(ROW, *schema.member_vars), chosen],
            how="vertical_relaxed",
        ).sort(ROW)
        whole = whole.with_columns(filled.select(schema.member_vars).get_columns())
    variables = whole.select(schema.member_vars).get_columns()
    if of_groups is None:
        return [], variables
    told = described(groups, whole, schema)
    found, _ = impute_records(told, of_groups._fitted_parts(), seed_of(entropy, GROUPS), particles)
    return found, variables


def _completed(
    members: pl.DataFrame,
    groups: pl.DataFrame,
    schema: HouseholdSchema,
    of_members: Synthesizer,
    of_groups: Synthesizer | None,
    entropy: int,
    particles: int,
) -> pl.DataFrame:
    """Return the members of incomplete groups with their variables, by ROW."""
    group = schema.group_id
    numbers = members.select(group).unique(maintain_order=True).with_row_index(GROUP)
    copies = pl.int_range(particles, eager=True).alias("copy").to_frame()
    many = (
        copies.join(members.join(numbers, on=group, maintain_order="left"), how="cross")
        .with_columns((pl.col("copy") * numbers.height + pl.col(GROUP)).alias(GROUP))
        .drop("copy")
    )
    log_weights = np.zeros(particles * numbers.height)
    parts = of_members._fitted_parts()

    def draw(turn: pl.DataFrame, seed: int) -> pl.DataFrame:
        known = as_known(turn, of_members, schema.earlier)
        columns, evidence = impute_records(known, parts, seed, particles)
        complete = (
            turn.select(
                pl.all_horizontal(pl.col(name).is_not_null() for name in schema.member_vars)
            )
            .to_series()
            .to_numpy()
        )
        if complete.any():
            evidence[complete] = of_members.log_prob(known.filter(pl.Series(complete)))
        log_weights[turn[GROUP].to_numpy()] += evidence
        return turn.with_columns(columns)

    drawn = draw_in_turn(
        many, schema.earlier, GROUP, draw, lambda place: seed_of(entropy, MEMBERS, place)
    )
    if of_groups is not None:
        log_weights += _of_targets(drawn, groups, numbers, schema, of_groups)
    table = log_weights.reshape(particles, numbers.height).T
    highest = table.max(axis=1, keepdims=True)
    # what no completion explains says nothing
    shares = np.where(
        np.isfinite(highest), np.exp(table - np.where(np.isfinite(highest), highest, 0)), 1.0
    )
    rng = np.random.default_rng(seed_of(entropy, CHOOSING))
    copy, _ = invert(shares / shares.sum(axis=1, keepdims=True), rng.random(numbers.height))
    kept = pl.DataFrame({GROUP: copy * numbers.height + np.arange(numbers.height)})
    return drawn.join(kept.cast(drawn.schema[GROUP]), on=GROUP, how="semi").select(
        ROW, *schema.member_vars
    )


def _of_targets(
    drawn: pl.DataFrame,
    groups: pl.DataFrame,
    numbers: pl.DataFrame,
    schema: HouseholdSchema,
    of_groups: Synthesizer,
) -> np.ndarray:
    """Return the log-probability of the observed targets of each completed group; 0 where one is missing."""
    targets = list(schema.group_target_vars)
    own = numbers.join(groups, on=schema.group_id, maintain_order="left")
    copies = drawn[GROUP].n_unique() // numbers.height
    many = pl.concat(
        [
            own.with_columns((pl.col(GROUP) + k * numbers.height).alias(schema.group_id))
            for k in range(copies)
        ]
    )
    inside = drawn.with_columns(pl.col(GROUP).alias(schema.group_id))
    told = described(many, inside, schema)
    complete = told.select(pl.all_horizontal(pl.col(t).is_not_null() for t in targets)).to_series()
    found = np.zeros(told.height)
    if complete.any():
        found[complete.to_numpy()] = of_groups.log_prob(told.filter(complete))
    return found


def _without_nan(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
