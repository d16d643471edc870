"""All targets of a state and year: published figures, pooled totals, and the survey's own totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.grossed_up_survey import (
    entity_counts,
    gross_up_to_persons,
    rake_to_published,
)
from microplex_pipeline.calibration.targets.derived import (
    derive,
    names_in,
    names_in_modelled,
    require_columns,
)
from microplex_pipeline.calibration.targets.extrapolation import Growth
from microplex_pipeline.calibration.targets.modelled import modelled_targets
from microplex_pipeline.calibration.targets.precision import IS_EXACT
from microplex_pipeline.calibration.targets.published import published_persons, published_targets
from microplex_pipeline.calibration.targets.sources import UNIT, TargetSources
from microplex_pipeline.calibration.targets.table import KEY

TABLE = [*KEY, "value", "kind", "source", "note", "standard_error", "tolerance"]


@dataclass(frozen=True)
class SurveyColumns:
    """Columns of a survey: weight, household number, persons of a unit; and its title, as a source."""

    weight: str
    household_id: str
    persons: str
    title: str


@dataclass(frozen=True)
class Place:
    """What targets are of, and where the files are.

    Attributes
    ----------
    folder : of target files.
    population : file of the population by state and year.
    growth : growth of an amount per person between two years, for figures that are moved to the year.
    """

    folder: str | Path
    population: str | Path
    state: str
    year: int
    growth: Growth


@dataclass(frozen=True)
class GivenTargets:
    """The targets that do not come from the survey of the state and year.

    Attributes
    ----------
    published, pooled : a row per target, with the name of its source.
    compared : published figures that are not targets.
    surveyed : the survey, grossed up to the published persons, with derived columns.
    persons_factor : published persons over the survey's.
    """

    published: pl.DataFrame
    pooled: pl.DataFrame
    compared: pl.DataFrame
    surveyed: pl.DataFrame
    persons_factor: float

    @property
    def table(self) -> pl.DataFrame:
        """A row per target: published figures, and pooled ones of what is not published."""
        return _joined(self.published, self.pooled)

    def without(self, source: str) -> GivenTargets:
        """Return the targets without those of one source."""
        others = pl.col("name") != source
        return replace(
            self, published=self.published.filter(others), pooled=self.pooled.filter(others)
        )


@dataclass(frozen=True)
class StateTargets:
    """The targets of a state and year.

    Attributes
    ----------
    table : a row per target; standard_error and tolerance are null where it must be met exactly.
    persons_factor : published persons over the survey's.
    surveyed : the survey, grossed up to the published persons, with derived columns.
    raked : the same with weights that meet the published figures.
    """

    table: pl.DataFrame
    persons_factor: float
    surveyed: pl.DataFrame
    raked: pl.DataFrame


def state_targets(
    survey: pl.DataFrame,
    sources: TargetSources,
    place: Place,
    columns: SurveyColumns,
    pooled: Mapping[str, float],
) -> StateTargets:
    """Return all targets of a state and year.

    The survey is grossed up to the published persons and raked to the published and pooled figures; its own
    totals are taken then, so that they are consistent with these. A published figure stands in place of a
    pooled or modelled one of the same thing.

    Parameters
    ----------
    survey : one row per unit.
    pooled : totals of the sources in `sources.pooled`, by name.

    Raises
    ------
    CalibrationError, InfeasibleTargets
        If a source or its figures cannot be used, two sources give the same figure, or published figures
        contradict each other on these records.
    """
    given = given_targets(survey, sources, place, columns, pooled)
    return with_modelled(given, sources, columns)


def with_modelled(
    given: GivenTargets, sources: TargetSources, columns: SurveyColumns
) -> StateTargets:
    """Return given targets together with the survey's own totals, see `state_targets`."""
    table = given.table
    keys = {"weight": columns.weight, "household_id": columns.household_id}
    raked = rake_to_published(given.surveyed, table, **keys)
    exact = table.filter(IS_EXACT)
    modelled = modelled_targets(raked, sources.modelled, columns.title, met=exact, **keys)
    return StateTargets(_joined(table, modelled), given.persons_factor, given.surveyed, raked)


def table_of_targets(
    survey: pl.DataFrame,
    sources: TargetSources,
    place: Place,
    columns: SurveyColumns,
    pooled: Mapping[str, float],
) -> pl.DataFrame:
    """Return the table of `state_targets` alone, with its parameters and errors."""
    return state_targets(survey, sources, place, columns, pooled).table


def given_targets(
    survey: pl.DataFrame,
    sources: TargetSources,
    place: Place,
    columns: SurveyColumns,
    pooled: Mapping[str, float],
) -> GivenTargets:
    """Return published and pooled targets, and the survey grossed up to the published persons.

    Parameters and errors are those of `state_targets`.
    """
    files = (place.folder, place.state, place.year, place.population)
    keys = {"weight": columns.weight, "household_id": columns.household_id}
    persons = published_persons(sources, *files)
    surveyed, factor = gross_up_to_persons(survey, persons, persons_column=columns.persons, **keys)
    counts = entity_counts(surveyed, **keys) | {"person": persons}
    published = published_targets(sources, *files, counts, place.growth)
    names = names_in(published) | names_in_modelled(sources.modelled)
    surveyed = derive(surveyed, sources, names, place.year, columns.household_id)
    require_columns(surveyed, published)
    relative = pl.col("relative_standard_error") * pl.col("value").abs()
    deviation = pl.coalesce("standard_error", relative)
    published = published.with_columns(deviation.alias("standard_error"))
    compared = published.filter("compare_only")
    met = published.filter(~pl.col("compare_only"))
    _refuse_two_sources(met)
    rows = _pooled_rows(sources, pooled, columns.title)
    return GivenTargets(met, rows, compared.select(TABLE), surveyed, factor)


def _pooled_rows(sources: TargetSources, pooled: Mapping[str, float], title: str) -> pl.DataFrame:
    rows = [
        {
            "name": source.name, "entity": UNIT, "measure": "sum", "variable": source.variable,
            "domain": "all", "value": pooled[source.name], "kind": "pooled", "source": title,
            "note": f"{source.name}, with the factors of the survey's source, at the level of "
            f"{source.level_of} and from there grown to the year",
            "standard_error": source.relative_standard_error
            and source.relative_standard_error * abs(pooled[source.name]),
        }
        for source in sources.pooled
    ]  # fmt: skip
    texts = dict.fromkeys(["name", *KEY, "kind", "source", "note"], pl.String)
    schema = {**texts, **dict.fromkeys(["value", "standard_error", "tolerance"], pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row").select("name", *TABLE)


def _refuse_two_sources(published: pl.DataFrame) -> None:
    """Raise CalibrationError if two sources, or one source twice, give the same figure."""
    twice = published.filter(pl.struct(KEY).is_duplicated())
    if twice.height:
        first = twice.row(0, named=True)
        same = twice.filter([pl.col(c) == first[c] for c in KEY])
        names = " and ".join(repr(n) for n in same["name"].unique(maintain_order=True))
        target = f"{first['entity']} {first['measure']} {first['variable']} [{first['domain']}]"
        raise CalibrationError(
            f"target sources: {target} stands twice, from {names}. Leave one of them out"
        )


def _joined(first: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Return targets, and those of the others that are not among them; notes say what was replaced."""
    replaced = others.select(*KEY, pl.col("value").alias("_value"), pl.col("kind").alias("_kind"))
    said = pl.format("in place of the {} {}", "_kind", pl.col("_value").map_elements(
        lambda v: f"{v:,.0f}", return_dtype=pl.String
    ))  # fmt: skip
    notes = pl.concat_str([pl.col("note"), said], separator="; ", ignore_nulls=True)
    noted = first.join(replaced, on=KEY, how="left", maintain_order="left").with_columns(
        pl.when(pl.col("_value").is_null()).then("note").otherwise(notes).alias("note")
    )
    kept = others.join(first, on=KEY, how="anti", maintain_order="left")
    return pl.concat([noted.select(TABLE), kept.select(TABLE)])
