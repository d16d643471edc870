"""Sources of a state's targets: published files and the survey's own totals, declared in YAML."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.data_files import FileName, Strict, load_declared


class PublishedSource(Strict):
    """Figures of a statistical office, in tidy long files.

    Attributes
    ----------
    name : of the source, in messages.
    files : files to search, in this order.
    select, leave_out : values of the files' columns to keep, and to leave out.
    entity, measure, variable : of the targets.
    rename_domains : new names for the files' domains.
    file_year, years : the year of the figures, and the years for which they are used; by default each
        year has its own figures.
    scale_to_survey : take the figures as shares, of the number of units that the survey has once it is
        grossed up to the published persons. For figures whose total is inconsistent with the survey at
        the published number of persons.
    projection : file of projected population by state and year, for years that no file has.
    """

    name: str
    files: list[FileName] = Field(min_length=1)
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
    """Counts of the survey's records by domain, or by each pair of two lists of domains."""

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
    """Figures of a statistical office for the areas of a state, in tidy long files.

    Attributes
    ----------
    name : of the source, in messages.
    files : files whose figures are combined.
    select : values of the files' columns to keep.
    entity, measure, variable : of the targets.
    """

    name: str
    files: list[FileName] = Field(min_length=1)
    select: dict[str, str]
    entity: str
    measure: str
    variable: str


class TargetSources(Strict):
    """All sources of targets."""

    published: list[PublishedSource]
    areas: list[AreaSource]
    compared: list[PublishedSource] = Field(default_factory=list)  # figures that are no targets
    modelled: ModelledTotals


def load_target_sources(path: str | Path) -> TargetSources:
    """Read the sources.

    Raises
    ------
    CalibrationError
        If the file is missing, is not valid YAML, or has unknown keys.
    """
    return load_declared(path, TargetSources, "target sources", CalibrationError)
