"""Data versions: digests of all that a partition is made from. Equal digests need no rebuild.

A version is made of the product's version, the files and parameters that the asset reads by itself, and
the versions of the partitions it was made from. What is made from the same is the same: every step
repeats its bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from microplex_pipeline.data_files import read_table
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.survey import survey_file, survey_year

RELEASE = version("microplex-pipeline")
MISSING = " is missing"  # in the place of a digest
# sections of the parameters that an asset reads
SECTIONS: Mapping[str, Sequence[str]] = {
    "national_survey": ["seed", "sample"],
    "national_prior": ["seed", "prior"],
    "transformer": ["margins"],
    "zero_model": ["seed", "fine_tuning"],
    "flow": ["seed", "fine_tuning"],
    "synthetic_population": ["seed", "population"],
    "state_report": ["checks"],
    "national_report": ["checks"],
}


def data_version(
    asset: str,
    state: str | None,
    year: int,
    data: DataFolder,
    parameters: Parameters,
    parents: Sequence[str],
) -> str:
    """Return the version of an asset's partition, given the versions of its parents' partitions.

    Parameters
    ----------
    state : None for assets by year alone.
    """
    sections = parameters.model_dump(mode="json")
    parts = [
        asset,
        RELEASE,
        json.dumps({name: sections[name] for name in SECTIONS.get(asset, [])}, sort_keys=True),
        *(FILES[asset](data, state, year) if asset in FILES else []),
        *sorted(parents),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


def survey_contents(data: DataFolder, year: int) -> list[str]:
    """Return digests of what the survey that serves a year consists of."""
    schema = data.survey_schema
    surveyed = survey_year(schema, data.path, year)
    return [
        str(surveyed),
        _digest(data, survey_file(schema, data.path, surveyed)),
        _digest(data, data.schema_file),
    ]


def _preparation_files(data: DataFolder) -> list[str]:
    schema = data.survey_schema
    ageing = schema.ageing
    files = [schema.state_scaling.file, ageing.factors, ageing.map, ageing.population]
    return [_digest(data, name) for name in (data.schema_file, *files)]


def target_contents(data: DataFolder, state: str | None) -> list[str]:
    """Return digests of a state's rows of the files that its targets come from."""
    sources = data.target_sources
    files = sorted({file for source in sources.published for file in source.files})
    return [
        sources.model_dump_json(exclude={"areas"}),
        _digest(data, data.survey_schema.ageing.population),
        *(_rows_of(data.targets / file, state) for file in files),
    ]


def county_contents(data: DataFolder, state: str | None) -> list[str]:
    """Return digests of a state's rows of the files that its counties' targets come from."""
    sources = data.target_sources
    files = sorted({file for source in sources.areas for file in source.files})
    return [
        sources.model_dump_json(include={"areas"}),
        *(_rows_of(data.targets / file, state) for file in files),
    ]


def _boundaries(data: DataFolder) -> list[str]:
    return [_digest(data, str(data.boundaries.relative_to(data.path)))]


def _words(data: DataFolder) -> list[str]:
    return [_digest(data, data.survey_schema.columns_file)]


FILES: Mapping[str, Callable[[DataFolder, str | None, int], list[str]]] = {
    "raw_survey": lambda data, state, year: survey_contents(data, year),
    "survey": lambda data, state, year: _preparation_files(data),
    "national_survey": lambda data, state, year: [
        *survey_contents(data, year),
        *_preparation_files(data),
    ],
    "targets": lambda data, state, year: target_contents(data, state),
    "county_weights": lambda data, state, year: county_contents(data, state),
    "county_report": lambda data, state, year: county_contents(data, state),
    "state_report": lambda data, state, year: [*_boundaries(data), *_words(data)],
    "national_report": lambda data, state, year: _boundaries(data),
}


def _digest(data: DataFolder, name: str) -> str:
    path = Path(data.path) / name
    if not path.exists():
        return f"{name}{MISSING}"
    stat = path.stat()
    return _digest_of(path, stat.st_mtime_ns, stat.st_size)


@lru_cache
def _digest_of(path: Path, modified: int, size: int) -> str:
    """Digest of a file's content, read once as long as it stays as it is."""
    del modified, size
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rows_of(path: Path, state: str | None) -> str:
    """Digest of one state's rows of a targets file: others' changes are none of its business."""
    if not path.exists():
        return f"{path.name}{MISSING}"
    stat = path.stat()
    return _digests_by_state(path, stat.st_mtime_ns, stat.st_size).get(str(state), "no rows")


@lru_cache
def _digests_by_state(path: Path, modified: int, size: int) -> dict[str, str]:
    del modified, size
    table = read_table(path, ["state"], text=True)
    return {
        str(state): hashlib.sha256(rows.write_csv().encode()).hexdigest()
        for (state,), rows in table.group_by(["state"], maintain_order=True)
    }
