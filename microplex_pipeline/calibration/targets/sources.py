"""Where a state's targets come from: published files and the survey's own totals, from YAML."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.data_files import FileName, Strict, load_declared


class PublishedSource(Strict):
    """Figures of an office, in tidy long files.

    Attributes
    ----------
    select, leave_out : values of the files' columns to keep, and to leave out.
    entity, measure, variable : of the targets made.
    rename_domains : domains that read differently here.
    file_year, years : one year's figures that serve several.
    scale_to_survey : the figures are taken as shares, of as many as the survey counts of the entity once
        its persons are raised to the published ones. For figures whose total and the survey's cannot
        both hold with the published persons.
    projection : file of population by state and year, for years that no file has.
    """

    name: str
    files: list[FileName]
    select: dict[str, str]
    leave_out: dict[str, str] = Field(default_factory=dict)
    entity: str
    measure: str
    variable: str
    rename_domains: dict[str, str] = Field(default_factory=dict)
    file_year: int | None = None
    years: list[int] | None = None
    scale_to_survey: bool = False
    projection: str | None = None


class ModelledCount(Strict):
    """Counts of the survey's records by domain, or by the cross of two lists of domains."""

    entity: str
    variable: str
    domains: list[str]
    crossed_with: list[str] = Field(default_factory=list)


class ModelledSum(Strict):
    """The survey's weighted total of a column."""

    entity: str
    variable: str


class ModelledTotals(Strict):
    """The survey's own weighted totals as targets."""

    min_records: int = Field(ge=1)
    counts: list[ModelledCount]
    sums: list[ModelledSum]


class AreaSource(Strict):
    """Figures of an office for the areas of a state, in tidy long files.

    Attributes
    ----------
    select : values of the files' columns to keep.
    entity, measure, variable : of the targets made.
    """

    name: str
    files: list[FileName]
    select: dict[str, str]
    entity: str
    measure: str
    variable: str


class TargetSources(Strict):
    """All sources of targets."""

    published: list[PublishedSource]
    areas: list[AreaSource]
    modelled: ModelledTotals


def load_target_sources(path: str | Path) -> TargetSources:
    """Read the sources.

    Raises
    ------
    CalibrationError
        If the file is missing, is no YAML, or says something unknown.
    """
    return load_declared(path, TargetSources, "target sources", CalibrationError)
