"""YAML in one pass: without aliases, tags, repeated keys and ambiguous numbers, of bounded size."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import yaml

from microplex_pipeline.data_files.errors import Unusable, in_one_line
from microplex_pipeline.data_files.limits import NUMBER_LENGTH, YAML_DEPTH, YAML_NODES


def parsed_yaml(text: str) -> Any:
    """Return the content of a YAML text; None if it is empty.

    Raises
    ------
    Unusable
        If it is not valid YAML, or has what is not read here. That is an alias (a few of them can stand
        for gigabytes), a tag, a key given twice (YAML would use the last one), too many or too deeply
        nested values, and a number that YAML reads otherwise than it looks (1:30, 017).
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as fault:
        message = in_one_line(str(fault))
        if isinstance(fault, yaml.MarkedYAMLError) and fault.problem_mark:
            message = f"{in_one_line(str(fault.problem))} in line {fault.problem_mark.line + 1}"
        raise Unusable(f"is not valid YAML: {message}", "Correct it") from fault
    except (ValueError, OverflowError) as fault:  # a date such as 2014-99-99
        raise Unusable(
            f"is not valid YAML: {in_one_line(str(fault))}", "Correct it, or put texts in quotes"
        ) from fault


def composed_yaml(text: str) -> yaml.Node | None:
    """Return the nodes of a valid YAML text, which know their lines; None if it is empty."""
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def line_of(node: yaml.Node | None, place: Sequence[str | int]) -> int | None:
    """Return the line, from 1, of a key or value within a node; None if nothing of it is there.

    Parameters
    ----------
    place : keys and positions in lists from the outermost on; those that the node lacks are ignored.
    """
    line = None
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if k.value == str(part)]
            if found:
                key, node = found[0]
                line = key.start_mark.line + 1
        elif (
            isinstance(node, yaml.SequenceNode)
            and isinstance(part, int)
            and part < len(node.value)
        ):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which refuses while it reads, before anything is expanded."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _at(event, f"alias *{event.anchor} (write the value itself)")
        if getattr(event, "tag", None) is not None:
            raise _at(event, f"tag {event.tag} (leave it out)")
        self._nodes += 1
        if self._nodes > YAML_NODES:
            raise _at(event, f"more than {YAML_NODES:,} keys and values")
        self._depth += 1
        if self._depth > YAML_DEPTH:
            raise _at(event, f"nested in more than {YAML_DEPTH} levels")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _at(key, "a list or mapping as a key")
            if key.tag == "tag:yaml.org,2002:merge":
                raise _at(key, "<< (write the keys themselves)")
            if key.value in seen:
                raise _at(key, f"{in_one_line(key.value)} is given twice, the second time")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        value = node.value.replace("_", "").lstrip("+-")
        if len(value) > NUMBER_LENGTH:
            raise _at(node, "a number that is too long")
        if ":" in value or (value.isdecimal() and value.startswith("0") and value.strip("0")):
            shown = in_one_line(node.value)
            raise _at(node, f"{shown} (write a number in decimal digits, or a text in quotes)")
        read = self.construct_yaml_float if node.tag.endswith("float") else self.construct_yaml_int
        number: int | float = read(node)
        return number


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_number)


def _at(place: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)
