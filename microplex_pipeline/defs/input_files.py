"""The files that assets read directly, each kind with the digests that reveal a change.

An asset names the kinds it reads in `files=[...]`. Each kind is an external asset, at which lineage starts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import polars as pl

from microplex_pipeline.data_files import DataFileError, open_file, read_table, reading
from microplex_pipeline.defs.file_stamps import Stamp, stamp
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.survey import survey_file, survey_year
from microplex_pipeline.warehouse.partition import Partition

MISSING = "missing"  # instead of a digest
SURVEY_YEAR = (
    "survey year"  # among the digests, though it is no file: it decides which file is read
)
Digests = dict[str, str]  # by file, relative to the data folder


class InputFiles(NamedTuple):
    """A kind of input files.

    Attributes
    ----------
    description : what they hold.
    by : "state" or "year" if each state or year uses its own part of the contents, else None.
    digests : function that returns the digests of the parts that a partition uses.
    """

    description: str
    by: str | None
    digests: Callable[[DataFolder, Partition], Digests]


def _survey_files(data: DataFolder, partition: Partition) -> Digests:
    schema = data.survey_schema
    surveyed = survey_year(schema, data.path, partition.year)
    file = survey_file(schema, data.path, surveyed)
    return {SURVEY_YEAR: str(surveyed), file: _digest(data, file)}


def _survey_schema(data: DataFolder, partition: Partition) -> Digests:
    del partition
    return {data.schema_file: _digest(data, data.schema_file)}


def _growth_factors(data: DataFolder, partition: Partition) -> Digests:
    del partition
    ageing, scaling = data.survey_schema.ageing, data.survey_schema.state_scaling
    files = (scaling.file, ageing.factors, ageing.map, ageing.population)
    return {file: _digest(data, file) for file in files}


def _target_files(data: DataFolder, partition: Partition) -> Digests:
    sources, schema = data.target_sources, data.survey_schema
    files = sorted({file for source in sources.published for file in source.files})
    others = {schema.ageing.population}
    if sources.pooled:
        others |= {schema.file, schema.ageing.factors, schema.ageing.map}
    return {
        "targets/sources.yaml": _hash(sources.model_dump_json(exclude={"areas"})),
        **{file: _digest(data, file) for file in sorted(others)},
        **{f"targets/{file}": _rows_of(data.targets / file, partition.state) for file in files},
    }


def _modelled_totals(data: DataFolder, partition: Partition) -> Digests:
    del partition
    declared = data.target_sources.model_dump_json(include={"modelled", "constants", "derived"})
    return {"targets/sources.yaml": _hash(declared)}


def _county_files(data: DataFolder, partition: Partition) -> Digests:
    sources = data.target_sources
    files = sorted({file for source in sources.areas for file in source.files})
    declared = sources.model_dump_json(include={"areas", "constants", "derived"})
    return {
        "targets/sources.yaml": _hash(declared),
        **{f"targets/{file}": _rows_of(data.targets / file, partition.state) for file in files},
    }


def _citations(data: DataFolder, partition: Partition) -> Digests:
    del partition
    name = data.citations.relative_to(data.path).as_posix()
    return {name: _digest(data, name)}


def _boundaries(data: DataFolder, partition: Partition) -> Digests:
    del partition
    name = data.boundaries.relative_to(data.path).as_posix()
    return {name: _digest(data, name)}


def _column_descriptions(data: DataFolder, partition: Partition) -> Digests:
    del partition
    name = data.survey_schema.columns_file
    return {name: _digest(data, name)}


INPUT_FILES: Mapping[str, InputFiles] = {
    "survey_files": InputFiles(
        "The survey's records as published, one file per edition.",
        "year", _survey_files,
    ),
    "survey_schema": InputFiles(
        "Description of the survey: columns, conditions, amounts, identities (YAML).",
        None, _survey_schema,
    ),
    "growth_factors": InputFiles(
        "Growth of amounts and population by year, and the factors that scale wages by state.",
        None, _growth_factors,
    ),
    "target_files": InputFiles(
        "Published figures of the states, and how targets are made from them.",
        "state", _target_files,
    ),
    "modelled_totals": InputFiles(
        "Which totals are modelled on the survey, and the columns derived for them.",
        None, _modelled_totals,
    ),
    "county_files": InputFiles(
        "Published figures of the counties.", "state", _county_files,
    ),
    "citations": InputFiles(
        "Tables and addresses of the published figures' sources.", None, _citations,
    ),
    "boundaries": InputFiles(
        "Boundaries of states and counties, for maps.", None, _boundaries,
    ),
    "column_descriptions": InputFiles(
        "Meanings and units of the survey's columns.", None, _column_descriptions,
    ),
}  # fmt: skip


def missing_files(digests: Mapping[str, str]) -> list[str]:
    """Return the files that do not exist."""
    return [file for file, digest in digests.items() if digest == MISSING]


def _digest(data: DataFolder, name: str) -> str:
    path = Path(data.path) / name
    state = stamp(path)
    return MISSING if state is None else _digest_of(path, state)


@lru_cache
def _digest_of(path: Path, state: Stamp) -> str:
    """Return a digest of a file's content; the file is read again only if it changes."""
    del state
    with reading(path, f"file {path.name}", DataFileError), open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rows_of(path: Path, state: str | None) -> str:
    """Return a digest of one state's rows of a targets file, which other states' rows do not affect."""
    now = stamp(path)
    return MISSING if now is None else _digests_by_state(path, now).get(str(state), "no rows")


@lru_cache
def _digests_by_state(path: Path, now: Stamp) -> dict[str, str]:
    del now
    table = read_table(path, {"state": pl.String})
    return {
        str(state): _hash(rows.write_csv())
        for (state,), rows in table.group_by(["state"], maintain_order=True)
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
