"""What the columns of groups and their members are: households and persons, firms and establishments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from microplex_pipeline.synthesis.households.summaries import Summary
from microplex_pipeline.synthesis.input_checks import check_missing, check_options
from microplex_pipeline.synthesis.transforms.target_transforms import Missing

N_MEMBERS = "n_members"
MEMBER_NUMBER = "member_number"
EVERY_GROUP = "\0every group"  # a condition that is the same for all groups
LISTS = (
    "member_vars",
    "member_condition_vars",
    "group_vars",
    "group_target_vars",
    "discrete_vars",
)


@dataclass(frozen=True)
class HouseholdSchema:
    """The columns of groups and of their members.

    Members keep their order: a member's variables are drawn given those of the members before it. Two
    columns are added to both levels' models, `n_members` (of the group) and `member_number` (from 1).

    Attributes
    ----------
    member_vars : columns of members to draw, in order: amounts, or categories if in `discrete_vars`.
    member_condition_vars : columns of members that are known before, as their ages: with the number of
        members they are the composition of a group.
    group_vars : columns of groups that are known before the members' variables, as the region.
    group_target_vars : columns of groups that are drawn after all members, as a benefit of the household.
    derived_vars : columns of groups that are computed from members, {name: summary} with summaries such as
        "sum:income" or "max:age"; see `Summary`. The group's targets are drawn given them.
    earlier_vars : what a member is told of those before it, {name: summary}; None for sum, number of holders
        and last value of every amount, last value of every category, and first and last of every condition.
    discrete_vars : the variables to draw that are categories.
    only_where : structural zeros of the members' variables, as in `Synthesizer`.
    missing : what nulls are, by variable of members or target of groups that may have any, as in
        `Synthesizer`. Summaries of members are those of what is known.
    group_id, member_id : columns of the groups' and members' numbers.

    Raises
    ------
    ValueError
        If a column is named twice or in a wrong place, or a summary cannot be read.
    """

    member_vars: Sequence[str]
    member_condition_vars: Sequence[str] = ()
    group_vars: Sequence[str] = ()
    group_target_vars: Sequence[str] = ()
    derived_vars: Mapping[str, str] = field(default_factory=dict)
    earlier_vars: Mapping[str, str] | None = None
    discrete_vars: Sequence[str] = ()
    only_where: Mapping[str, str | tuple[str, Any]] | None = None
    missing: Mapping[str, Missing] = field(default_factory=dict)
    group_id: str = "household_id"
    member_id: str = "person_id"

    def __post_init__(self) -> None:
        check_options({name: getattr(self, name) for name in LISTS}, {})
        for name in LISTS:  # equal schemas compare equal, whatever they were given as
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.member_vars:
            raise ValueError("member_vars names no column to draw")
        named = [
            self.group_id, self.member_id, N_MEMBERS, MEMBER_NUMBER, *self.member_vars,
            *self.member_condition_vars, *self.group_vars, *self.group_target_vars,
            *self.derived_vars, *self.earlier,
        ]  # fmt: skip
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(
                f"columns that are named more than once, or have a name that is reserved: {', '.join(twice)}"
            )
        drawn = {*self.member_vars, *self.group_target_vars}
        if unknown := sorted({*self.discrete_vars} - drawn):
            raise ValueError(f"discrete_vars that are not drawn: {', '.join(unknown)}")
        check_missing(self.missing, sorted(drawn))
        known = {*self.member_vars, *self.member_condition_vars}
        for key, summaries in (("earlier_vars", self.earlier), ("derived_vars", self.derived)):
            for name, summary in summaries.items():
                if foreign := sorted({*summary.of} - known):
                    raise ValueError(
                        f"{key}: {name} summarizes {', '.join(foreign)}, which is no variable of members"
                    )

    @property
    def earlier(self) -> dict[str, Summary]:
        """What a member is told of those before it."""
        if self.earlier_vars is not None:
            return _parsed(self.earlier_vars)
        found: dict[str, str] = {}
        for name in self.member_vars:
            if name not in self.discrete_vars:
                found[f"earlier_{name}"] = f"sum:{name}"
                found[f"earlier_with_{name}"] = f"count:{name}"
            found[f"last_{name}"] = f"last:{name}"
        for name in self.member_condition_vars:
            found |= {f"first_{name}": f"first:{name}", f"last_{name}": f"last:{name}"}
        return _parsed(found)

    @property
    def derived(self) -> dict[str, Summary]:
        """Columns of groups that are computed from members."""
        return _parsed(self.derived_vars)

    @property
    def member_conditions(self) -> list[str]:
        """What a member's variables are drawn from."""
        own = [*self.member_condition_vars, MEMBER_NUMBER, N_MEMBERS]
        return [*own, *self.group_vars, *self.earlier]

    @property
    def of_all(self) -> dict[str, Summary]:
        """What a group's targets are told of all its members, beside the derived columns."""
        amounts = [name for name in self.member_vars if name not in self.discrete_vars]
        found = {f"total {name}": Summary("sum", (name,)) for name in amounts}
        found |= {f"holders of {name}": Summary("count", (name,)) for name in amounts}
        return found | {f"first {c}": Summary("first", (c,)) for c in self.member_condition_vars}

    @property
    def earlier_kinds(self) -> dict[str, Summary]:
        """What a member's conditions are told of those before it, if compositions are synthesized."""
        return {
            f"{take} {name}": Summary(take, (name,))
            for name in self.member_condition_vars
            for take in ("first", "last")
        }

    @property
    def composition_conditions(self) -> dict[str, list[str]]:
        """What compositions and kinds of members are drawn from, if they are synthesized."""
        found = {"compositions": [EVERY_GROUP]}
        if self.member_condition_vars:
            found["kinds"] = [MEMBER_NUMBER, N_MEMBERS, *self.group_vars, *self.earlier_kinds]
        return found

    @property
    def group_conditions(self) -> list[str]:
        """What a group's targets are drawn from."""
        return [N_MEMBERS, *self.group_vars, *self.derived_vars, *self.of_all]

    @property
    def missing_of_members(self) -> dict[str, Missing]:
        """What nulls are, by the members' variables."""
        return {name: m for name, m in self.missing.items() if name in self.member_vars}

    @property
    def missing_of_groups(self) -> dict[str, Missing]:
        """What nulls are, by the groups' targets."""
        return {name: m for name, m in self.missing.items() if name in self.group_target_vars}

    @property
    def discrete_of_members(self) -> list[str]:
        """The members' variables that are categories."""
        return [name for name in self.member_vars if name in self.discrete_vars]

    @property
    def discrete_of_groups(self) -> list[str]:
        """The groups' targets that are categories."""
        return [name for name in self.group_target_vars if name in self.discrete_vars]


def _parsed(summaries: Mapping[str, str]) -> dict[str, Summary]:
    return {name: Summary.parse(text) for name, text in summaries.items()}
