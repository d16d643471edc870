"""Sources of a state's targets, declared in YAML: files of figures, and the survey's own totals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    field_validator,
    model_validator,
)

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.expressions import (
    Expression,
    known_names,
    parse_expression,
)
from microplex_pipeline.data_files import FileName, Strict, load_declared

PERSON, UNIT, HOUSEHOLD = ENTITIES = ("person", "tax_unit", "household")
NAMES = {**{e: e for e in ENTITIES}, "persons": PERSON, "unit": UNIT, "units": UNIT,
         "tax_units": UNIT, "households": HOUSEHOLD}  # fmt: skip
SUFFIXES = (".csv", ".csv.gz", ".parquet")
# keys and columns of what is not met exactly, in the order in which they count
ERRORS = ("standard_error", "relative_standard_error", "tolerance")
PERSONS = "persons"  # the source of the number of persons


def _entity(name: Any) -> Any:
    if not isinstance(name, str) or name not in NAMES:
        raise ValueError("give persons, units (of taxes) or households")
    return NAMES[name]


def _target_file(name: str) -> str:
    if not name.endswith(SUFFIXES):
        raise ValueError(f"{name!r} must be a file {' or '.join(SUFFIXES)}")
    return name


def _parsed(named: Any) -> Expression:
    """Return the expression of a pair of name and text."""
    name, text = named
    known_names([name])
    if not isinstance(text, str | int | float):
        raise ValueError(
            f"derived column {name}: write an expression, as in `{name}: wages + pensions`"
        )
    return parse_expression(name, str(text))


def _with_names(derived: Any) -> Any:
    """Return texts by name as pairs by name, so that each value knows its name."""
    return {k: (k, v) for k, v in derived.items()} if isinstance(derived, dict) else derived


Parsed = Annotated[Expression, PlainValidator(_parsed), PlainSerializer(lambda e: e.text)]
Entity = Annotated[str, BeforeValidator(_entity)]
TargetFile = Annotated[FileName, AfterValidator(_target_file)]
Value = str | int | float


class Between(Strict):
    """A range of numbers, both ends included; at least one is given."""

    low: float | None = Field(None, alias="from")
    high: float | None = Field(None, alias="to")

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("a range needs `from`, `to` or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"no number is from {self.low:g} to {self.high:g}")
        return self

    def holds(self, number: float) -> bool:
        """Whether a number lies in the range."""
        return (self.low is None or number >= self.low) and (
            self.high is None or number <= self.high
        )


Chosen = Value | Annotated[list[Value], Field(min_length=1)] | Between
Selection = dict[str, Chosen]


class Cohorts(Strict):
    """Ages of another year by cohort survival, see `targets.cohorts`.

    Attributes
    ----------
    life_table : file with the columns age and death_rate, among the target files.
    groups : the groups of ages that become targets, e.g. ["age:0-17", "age:18-64", "age:65+"].
    """

    life_table: FileName
    groups: list[str] = Field(min_length=1)


class Figures(Strict):
    """Figures of a statistical office in tidy long files: of states (`published`) or of their areas.

    Attributes
    ----------
    name : of the source, in messages.
    files : .csv, .csv.gz or .parquet files. Of states, the first with the year is used; areas' figures of
        all files are combined.
    select, leave_out : rows to keep, which fit in every column, and of these the ones to leave out, which
        fit in any column: a value, a list of values, or a range {from: 2012, to: 2014}.
    rename_domains : new names for the files' domains.
    entity : what is counted: persons, units or households.
    measure, variable : of the targets, see `Targets`.
    file_year : the year of the figures; by default each year has its own, and areas without figures of the
        year use those of the last year before it, or of the first.
    years : the years for which they are used: a list, or a range {from: 2015}; by default all.
    cohorts : move ages of `file_year` to the year by cohort survival; with `scale_to`.
    grow_domains : for each column of the domains that is an amount, the amount whose growth per person since
        `file_year` moves the brackets.
    states : the states that the files cover, if not all. Other states do without; a figure that is missing
        of a state named here is an error.
    scale_to : name of another source of states. The figures are taken as shares of its total.
    share_of : with `scale_to`, the row that is the whole, as changes to `select`; by default the figures
        are the parts of the whole.
    scale_to_survey : take the figures as shares, of the number of units that the survey has once it is
        grossed up to the published persons. For figures whose total is inconsistent with the survey at
        the published number of persons.
    projection : file of projected population by state and year, for years that no file has.
    standard_error, relative_standard_error : of the figures, in their units or as a share of them: a number,
        or the name of a column. They are then penalized: they give way to others, in standard errors.
    tolerance : a share of the figures within which they are met, likewise. Figures with none of these are
        met exactly.
    level : of the areas, `county` or `tract`; only of `areas`.
    compare_only : show what the file gives beside the figure, but do not meet it.
    """

    name: str
    files: list[TargetFile] = Field(min_length=1)
    select: Selection = Field(default_factory=dict)
    leave_out: Selection = Field(default_factory=dict)
    rename_domains: dict[str, str] = Field(default_factory=dict)
    entity: Entity
    measure: Literal["count", "sum", "mean", "ratio"]
    variable: str
    file_year: int | None = None
    years: list[int] | Between | None = None
    cohorts: Cohorts | None = None
    grow_domains: dict[str, str] = Field(default_factory=dict)
    states: list[str] | None = Field(None, min_length=1)
    scale_to: str | None = None
    share_of: Selection = Field(default_factory=dict)
    scale_to_survey: bool = False
    projection: str | None = None
    standard_error: float | str | None = None
    relative_standard_error: float | str | None = None
    tolerance: float | str | None = None
    level: Literal["county", "tract"] = "county"
    compare_only: bool = False

    @model_validator(mode="after")
    def _keys_go_together(self) -> Self:
        if self.entity == PERSON and self.measure != "count":
            raise ValueError(
                "persons can be counted only: for other measures use units or households"
            )
        given = [key for key in ERRORS if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"give {' or '.join(given)}, not both")
        if self.scale_to and self.scale_to_survey:
            raise ValueError("give scale_to or scale_to_survey, not both")
        if self.share_of and not self.scale_to:
            raise ValueError("share_of needs scale_to, the source whose total is shared")
        if (self.cohorts or self.grow_domains) and self.file_year is None:
            raise ValueError("cohorts and grow_domains need file_year, the year of the figures")
        if self.cohorts and (self.entity != PERSON or not self.scale_to):
            raise ValueError("cohorts are shares of persons: give entity: persons and scale_to")
        for key in ERRORS:
            size = getattr(self, key)
            if not isinstance(size, str | None) and size <= 0:
                raise ValueError(f"{key} must be above 0; leave it out if figures are exact")
        return self

    def covers(self, state: str, year: int) -> bool:
        """Whether the source has figures for a state and year."""
        if isinstance(self.years, Between):
            in_years = self.years.holds(year)
        else:
            in_years = self.years is None or year in self.years
        return in_years and (self.states is None or state in self.states)


class PooledTotal(Strict):
    """The total of an amount over all years of the survey's first edition, as its source scaled it.

    Attributes
    ----------
    name : of the source, in messages.
    variable : the amount.
    level_of : the year to whose level the survey's source scaled it. For other years it grows by the
        per-person factor of the amount and by the state's population.
    relative_standard_error : of the total, as a share of it, by which it is penalized; by default it is met
        exactly.
    """

    name: str
    variable: str
    level_of: int
    relative_standard_error: float | None = Field(None, gt=0, lt=1)


class ModelledCount(Strict):
    """Counts of the survey's records by domain, or by each pair of two lists of domains."""

    entity: Entity
    variable: str
    domains: list[str]
    crossed_with: list[str] = Field(default_factory=list)


class ModelledSum(Strict):
    """The survey's weighted totals of a column, of all records or by domain."""

    entity: Entity
    variable: str
    domains: list[str] = Field(default_factory=lambda: ["all"], min_length=1)


class ModelledTotals(Strict):
    """The survey's own weighted totals as targets, met within their standard errors."""

    min_records: int = Field(ge=1)
    counts: list[ModelledCount]
    sums: list[ModelledSum]


class TargetSources(Strict):
    """All sources of targets, and the columns that are derived for them.

    Attributes
    ----------
    constants : numbers by name and year, for expressions.
    derived : expressions by the name of the column that they make, see `targets.expressions`; an
        expression may use the ones before it.
    published, areas : figures of states, and of areas of a state.
    pooled, modelled : totals of the survey.
    """

    constants: dict[str, dict[int, float]] = Field(default_factory=dict)
    derived: Annotated[dict[str, Parsed], BeforeValidator(_with_names)] = Field(
        default_factory=dict
    )
    published: list[Figures]
    areas: list[Figures]
    pooled: list[PooledTotal] = Field(default_factory=list)
    modelled: ModelledTotals

    @field_validator("constants")
    @classmethod
    def _constants_have_names(cls, constants: dict[str, Any]) -> dict[str, Any]:
        known_names(constants)
        return constants

    @field_validator("derived")
    @classmethod
    def _expressions_use_earlier_ones(
        cls, derived: dict[str, Expression]
    ) -> dict[str, Expression]:
        names = list(derived)
        for k, (name, expression) in enumerate(derived.items()):
            if later := expression.names & set(names[k:]):
                raise ValueError(
                    f"derived column {name} uses {', '.join(sorted(later))}, which is not declared before it"
                )
        return derived

    @model_validator(mode="after")
    def _sources_fit_together(self) -> Self:
        if both := sorted(set(self.constants) & set(self.derived)):
            raise ValueError(f"{both[0]} is a constant and a derived column: rename one of them")
        by_name: dict[str, Figures] = {}
        for source in self.published:
            if source.name in by_name:
                raise ValueError(f"two published sources have the name {source.name!r}")
            by_name[source.name] = source
        for source in self.published:
            whole = by_name.get(source.scale_to or "")
            if source.scale_to and (whole is None or whole.scale_to or whole.scale_to_survey):
                raise ValueError(
                    f"{source.name!r} has scale_to: {source.scale_to!r}, which is not a published source "
                    "with figures of its own"
                )
        for source in self.areas:
            if source.scale_to or source.scale_to_survey or source.projection:
                raise ValueError(
                    f"areas {source.name!r}: leave out scale_to, scale_to_survey and projection; figures of "
                    "areas are always scaled to the state's total"
                )
        return self


def load_target_sources(path: str | Path) -> TargetSources:
    """Read the sources.

    Raises
    ------
    CalibrationError
        If the file is missing, is not valid YAML, or has unknown keys.
    """
    return load_declared(path, TargetSources, "target sources", CalibrationError)
