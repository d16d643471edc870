"""Frames of groups and of their members: checked, joined, and described to each other."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.synthesis.households.household_schema import (
    MEMBER_NUMBER,
    N_MEMBERS,
    HouseholdSchema,
)
from microplex_pipeline.synthesis.households.summaries import summarized
from microplex_pipeline.synthesis.input_checks import require_columns

WEIGHT = "\0weight"  # a name that no caller's column has


def check_membership(
    groups: pl.DataFrame,
    members: pl.DataFrame,
    schema: HouseholdSchema,
    weight_col: str | None,
    *,
    drawn: bool,
) -> None:
    """Check that every member has a group, and every group a member.

    Parameters
    ----------
    weight_col : column of `groups`; None if there is none.
    drawn : whether the frames have the variables that are drawn.

    Raises
    ------
    ValueError
        If a column is missing, a number is missing or occurs twice, a member has no group, or a group no
        member.
    """
    targets = schema.group_target_vars if drawn else ()
    own = schema.member_vars if drawn else ()
    weights = [] if weight_col is None else [weight_col]
    require_columns(groups, [schema.group_id, *schema.group_vars, *targets, *weights])
    require_columns(
        members, [schema.group_id, schema.member_id, *schema.member_condition_vars, *own]
    )
    if groups.is_empty():
        raise ValueError("there are no groups: the frame has no rows")
    group_id, member_id = schema.group_id, schema.member_id
    for frame, column, of in (
        (groups, group_id, "groups"),
        (members, member_id, "members"),
        (members, group_id, "members"),
    ):
        if missing := frame[column].null_count():
            raise ValueError(f"{column!r} is missing in {missing} {of}: number them")
    if groups[group_id].dtype.is_integer() != members[group_id].dtype.is_integer():
        raise ValueError(
            f"{group_id!r} has type {groups[group_id].dtype} in groups and {members[group_id].dtype} in "
            "members: give both the same"
        )
    for frame, column, of in ((groups, group_id, "groups"), (members, member_id, "members")):
        if twice := frame.height - frame[column].n_unique():
            first = frame.filter(pl.col(column).is_duplicated())[column][0]
            raise ValueError(
                f"{column!r} occurs more than once in {twice} {of}, as {first!r}: number them anew"
            )
    named = members[schema.group_id].unique(maintain_order=True)
    lone = named.filter(~named.is_in(groups[schema.group_id].implode()))
    if len(lone):
        raise ValueError(
            f"{len(lone)} values of {schema.group_id!r} in members are no group's, as {lone[0]!r}: add the "
            "groups, or leave the members out"
        )
    empty = groups[schema.group_id].filter(~groups[schema.group_id].is_in(named.implode()))
    if len(empty):
        raise ValueError(
            f"{len(empty)} groups have no members, as {schema.group_id!r} {empty[0]!r}: add the members, or "
            "leave the groups out"
        )


def joined(groups: pl.DataFrame, members: pl.DataFrame, schema: HouseholdSchema) -> pl.DataFrame:
    """Return members with their group's variables and weight, `n_members` and `member_number`."""
    own = [WEIGHT] if WEIGHT in groups.columns else []
    kept = [
        name
        for name in (*schema.member_condition_vars, *schema.member_vars)
        if name in members.columns
    ]
    of_group = groups.select(schema.group_id, *schema.group_vars, *own)
    whole = members.select(schema.group_id, schema.member_id, *kept)
    return numbered(whole.join(of_group, on=schema.group_id, maintain_order="left"), schema)


def numbered(members: pl.DataFrame, schema: HouseholdSchema) -> pl.DataFrame:
    """Return members with `n_members` and `member_number`."""
    return members.with_columns(
        pl.len().over(schema.group_id).cast(pl.Int64).alias(N_MEMBERS),
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(schema.group_id).alias(MEMBER_NUMBER),
    )


def described(
    groups: pl.DataFrame, members: pl.DataFrame, schema: HouseholdSchema
) -> pl.DataFrame:
    """Return groups with `n_members`, the derived columns, and what else their targets are told."""
    summaries = summarized(members, schema.derived | schema.of_all, schema.group_id)
    sizes = members.group_by(schema.group_id, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias(N_MEMBERS)
    )
    found = groups.drop(N_MEMBERS, *schema.derived_vars, strict=False)
    for frame in (sizes, summaries):
        found = found.join(frame, on=schema.group_id, maintain_order="left")
    return found
