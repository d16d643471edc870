"""The folder of a fitted hierarchical synthesizer: its schema as JSON, and a file per synthesizer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from microplex_pipeline.synthesis.households.household_schema import HouseholdSchema
from microplex_pipeline.synthesis.stored_form import (
    Listed,
    Scalar,
    Stored,
    Text,
    one_line,
    read_json,
)
from microplex_pipeline.synthesis.synthesizer import Synthesizer
from microplex_pipeline.synthesis.transforms.target_transforms import Missing

FILE = "schema.json"
LARGEST = 2**24  # bytes of the schema


class StoredSchema(Stored):
    """A `HouseholdSchema` as it is stored."""

    member_vars: Listed[Text]
    member_condition_vars: Listed[Text]
    group_vars: Listed[Text]
    group_target_vars: Listed[Text]
    derived_vars: dict[Text, Text]
    earlier_vars: dict[Text, Text] | None
    discrete_vars: Listed[Text]
    only_where: (
        dict[Text, Text | Annotated[tuple[Text, Scalar | None], Field(strict=False)]] | None
    )
    missing: dict[Text, Missing]
    group_id: Text
    member_id: Text


class StoredHierarchy(Stored):
    """What is stored beside the synthesizers."""

    schema_: StoredSchema = Field(alias="schema")
    skeleton: Literal["resampled", "synthesized"]
    weight_col: Text
    total_weight: Annotated[float, Field(gt=0, le=1e30)]

    @property
    def household_schema(self) -> HouseholdSchema:
        """The schema."""
        return HouseholdSchema(**self.schema_.model_dump())


def write_hierarchy(
    folder: Path, about: Mapping[str, Any], synthesizers: Mapping[str, Synthesizer]
) -> None:
    """Write what is stored.

    Raises
    ------
    FileExistsError
        If the folder exists and is not empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"the folder {folder} is not empty: choose another one")
    for name, synthesizer in synthesizers.items():
        synthesizer.save(folder / f"{name}.zip")
    (folder / FILE).write_text(json.dumps(about, indent=1), "utf-8")


def read_hierarchy(folder: Path) -> tuple[StoredHierarchy, dict[str, Synthesizer]]:
    """Read what is stored, and check that it belongs together.

    Raises
    ------
    ValueError
        If a file is damaged, or the files do not belong together.
    OSError
        If a file cannot be read.
    """
    path = folder / FILE
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{FILE} has more than {LARGEST:,} bytes")
    try:
        about = StoredHierarchy.model_validate(read_json(path.read_bytes().decode()))
        schema = about.household_schema
    except ValueError as error:
        raise ValueError(
            f"{FILE} is no schema of groups, or is damaged: {one_line(error)}"
        ) from error
    wanted = {"members": schema.member_conditions}
    if schema.group_target_vars:
        wanted["groups"] = schema.group_conditions
    if about.skeleton == "synthesized":
        wanted |= schema.composition_conditions
    found = {name: Synthesizer.load(folder / f"{name}.zip") for name in wanted}
    for name, conditions in wanted.items():
        if found[name].condition_vars != conditions:
            raise ValueError(f"{name}.zip was fitted with another schema than {FILE}")
    return about, found
