"""Structural zeros: a target that can only be non-zero where a condition or another target allows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OnlyWhere:
    """Where a target may be other than zero.

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
    """Check and normalize a caller's {target: earlier target} or {target: (condition, value)}.

    Raises
    ------
    ValueError
        If a key is no amount among the targets, or a rule names neither an earlier target nor a
        condition with its value.
    """
    rules = {}
    for target, rule in (given or {}).items():
        if target not in target_vars or target in discrete_vars:
            raise ValueError(f"only_where: {target!r} is no amount among the targets")
        earlier = target_vars[: list(target_vars).index(target)]
        if isinstance(rule, str):
            if rule not in earlier or rule in discrete_vars:
                raise ValueError(
                    f"only_where: {target!r} depends on {rule!r}, which is no amount that stands "
                    "before it among the targets"
                )
            rules[target] = OnlyWhere(rule)
        else:
            column, value = rule
            if column not in condition_vars:
                raise ValueError(f"only_where: {target!r} depends on {column!r}, no condition")
            rules[target] = OnlyWhere(column, value)
    return rules
