"""Structural zeros: a target that can be non-zero only where a condition or another target allows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OnlyWhere:
    """Rule that tells where a target may be non-zero.

    Attributes
    ----------
    column : a condition, or a target that is drawn earlier.
    equals : the condition's value that allows it; not used for a target, which must be non-zero.
    """

    column: str
    equals: Any = None


def parse_only_where(
    given: Mapping[str, str | tuple[str, Any]] | None,
    target_vars: Sequence[str],
    condition_vars: Sequence[str],
    discrete_vars: Sequence[str],
) -> dict[str, OnlyWhere]:
    """Turn {target: earlier target} and {target: (condition, value)} into checked rules.

    Raises
    ------
    ValueError
        If a key is not an amount among the targets, or a rule names neither an earlier amount nor a
        condition with its value.
    """
    rules = {}
    for target, rule in (given or {}).items():
        if target not in target_vars or target in discrete_vars:
            raise ValueError(f"only_where: {target!r} is not an amount among the targets")
        earlier = target_vars[: list(target_vars).index(target)]
        if isinstance(rule, str):
            if rule not in earlier or rule in discrete_vars:
                raise ValueError(
                    f"only_where: {target!r} depends on {rule!r}, which is not an amount that comes "
                    "before it among the targets"
                )
            rules[target] = OnlyWhere(rule)
        elif isinstance(rule, tuple | list) and len(rule) == 2:
            column, value = rule
            if column not in condition_vars:
                raise ValueError(
                    f"only_where: {target!r} depends on {column!r}, which is not a condition"
                )
            rules[target] = OnlyWhere(column, value)
        else:
            raise ValueError(
                f"only_where: the rule of {target!r} must be an earlier target or (condition, value), "
                f"not {rule!r}"
            )
    return rules


def given_form(
    rules: Mapping[str, OnlyWhere], target_vars: Sequence[str]
) -> dict[str, str | tuple[str, Any]]:
    """Return rules in the form that `parse_only_where` takes."""
    return {
        target: rule.column if rule.column in target_vars else (rule.column, rule.equals)
        for target, rule in rules.items()
    }
