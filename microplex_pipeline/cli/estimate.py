"""microplex estimate: an estimate from the records, with its standard error and interval."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import click

from microplex_pipeline.cli.outdated import warn_if_outdated
from microplex_pipeline.cli.partition_keys import known_state, known_year
from microplex_pipeline.cli.places import no_warehouse, read_settings_and_data

if TYPE_CHECKING:
    import polars as pl

    from microplex_pipeline.defs.settings import Settings
    from microplex_pipeline.evaluation.inference import Estimate
    from microplex_pipeline.survey import SurveySchema
    from microplex_pipeline.warehouse.partition import Partition

STATISTICS = ("total", "mean", "share", "median", "quantile", "gini", "top_coded_gini")
RECORDS, REPLICATES = "calibration.calibrated_population", "calibration.replicates"


class Question(NamedTuple):
    """What is estimated, of which records."""

    statistic: str
    expression: str
    where: str
    universe: str
    q: float | None
    level: float


@click.command(short_help="An estimate with its standard error.")
@click.argument("statistic", type=click.Choice(STATISTICS))
@click.argument("expression")
@click.option(
    "--states", required=True, help="postal codes, e.g. RI,VT; one estimate for all of them"
)
@click.option("--year", required=True, help="a year")
@click.option("--minus", help="a year whose estimate is subtracted")
@click.option(
    "--where", default="true", help='SQL condition on the records, e.g. "age_head >= 65"'
)
@click.option(
    "--of",
    "universe",
    type=click.Choice(["units", "persons", "households"]),
    default="units",
    show_default=True,
    help="what is counted: tax units, their persons, or households",
)
@click.option(
    "--q", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="which quantile"
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="of the interval",
)
@click.option(
    "--format", "kind", type=click.Choice(["text", "json"]), default="text", show_default=True
)  # fmt: skip
def estimate(
    statistic: str,
    expression: str,
    states: str,
    year: str,
    minus: str | None,
    where: str,
    universe: str,
    q: float | None,
    level: float,
    kind: str,
) -> None:
    """Estimate a STATISTIC of an SQL EXPRESSION, with its standard error and interval.

    \\b
    Examples:  microplex estimate total wages --states RI --year 2014
               microplex estimate mean wages --where "age_head < 30" --states RI,VT --year 2014
               microplex estimate share "household_income < 15000" --of persons --states RI --year 2014
               microplex estimate quantile household_income --q 0.9 --of households --states RI --year 2014
               microplex estimate total social_security --states RI --year 2016 --minus 2014

    Columns are those of calibration.calibrated_population. The states need replicates: microplex build RI
    2014 --replicates. The standard error covers the survey's sample, the models and the drawing of records;
    it takes published figures and the national models as known. It knows nothing of large incomes that no
    surveyed household has: for inequality in a state, take top_coded_gini, in which no value counts as more
    than ten medians.

    Exit code 0, or 1 if the estimate cannot be made.
    """
    from microplex_pipeline.defs.resources import DataFolder

    settings = read_settings_and_data()
    schema = DataFolder(path=str(settings.data)).survey_schema
    if (q is None) == (statistic == "quantile"):
        raise click.UsageError(
            "--q goes with quantile, and only with it, e.g. quantile ... --q 0.9"
        )
    question = Question(statistic, expression, where, universe, q, level)
    codes = list(dict.fromkeys(known_state(state) for state in states.split(",")))
    found, survey = _estimate(settings, schema, question, codes, known_year(year))
    how = f"{len(found.replicates)} replicates"
    if minus is not None:
        other, other_survey = _estimate(settings, schema, question, codes, known_year(minus))
        paired = survey == other_survey
        found = found.minus(other, paired=paired)
        same = f"paired: both years are aged from the survey of {survey}"
        how += f", {same if paired else 'the surveys of both years taken as independent'}"
    click.echo(_as_json(found) if kind == "json" else _as_text(found, how))


def _estimate(
    settings: Settings, schema: SurveySchema, question: Question, states: list[str], year: int
) -> tuple[Estimate, int]:
    """Return the estimate of a year, and the year of its survey; or end with what is missing or wrong."""
    import duckdb

    from microplex_pipeline.evaluation.inference import complete_numbers, from_rows
    from microplex_pipeline.evaluation.statistics import named
    from microplex_pipeline.warehouse.partition import Partition
    from microplex_pipeline.warehouse.reading import QueryRefused, query

    warehouse = settings.warehouse
    partitions = [Partition(state, year) for state in states]
    _require_built(settings, partitions)
    marks = ", ".join("?" * len(states))
    keys = f"year = ? and state in ({marks})"

    def rows(sql: str, condition: str = "true") -> pl.DataFrame:
        return query(warehouse, f"{sql} where {keys} and (\n{condition}\n)", [year, *states])

    weight = schema.weight
    if question.universe == "persons":
        weight += f" * {schema.persons}"
    # on lines of their own: a comment in them ends there
    taken = (
        f"cast((\n{question.expression}\n) as double) as value, cast({weight} as double) as weight"
    )
    condition = f"(\n{question.where}\n)"
    if question.universe == "households":
        condition += " and unit_number = 1"
    try:
        numbers = complete_numbers(rows(f"select distinct state, replicate from {REPLICATES}"))
        found = from_rows(
            rows(f"select {taken} from {RECORDS}", condition),
            rows(f"select replicate, {taken} from {REPLICATES}", condition),
            numbers,
            named(question.statistic, question.q),
            level=question.level,
        )
        surveyed = rows("select max(survey_year) as survey_year from survey.survey")
    except (QueryRefused, duckdb.Error, ValueError) as error:
        raise click.ClickException(f"{', '.join(states)} {year}: {error}") from error
    for table in (RECORDS, REPLICATES):
        warn_if_outdated(settings, table, partitions)
    return found, int(surveyed["survey_year"][0])


def _require_built(settings: Settings, partitions: list[Partition]) -> None:
    """End with an error that names the first state that is not built, or has no replicates."""
    from microplex_pipeline.warehouse.reading import stored_partitions

    if not settings.warehouse.exists():
        raise click.ClickException(no_warehouse(settings.warehouse))
    stored = stored_partitions(settings.warehouse)
    for of in partitions:
        if of not in stored.get(RECORDS, ()) or of not in stored.get(REPLICATES, ()):
            raise click.ClickException(
                f"{of} has no replicates yet: run `microplex build {of} --replicates` first"
            )


def _as_text(found: Estimate, how: str) -> str:
    percent = f"{100 * found.level:g} % interval"
    lines = [
        ("estimate", _number(found.value)),
        ("standard error", _number(found.standard_error)),
        (percent, f"{_number(found.low)} to {_number(found.high)}"),
        ("from", how),
    ]
    return "\n".join(f"{name:<16} {value}" for name, value in lines)


def _as_json(found: Estimate) -> str:
    return json.dumps(
        {
            "estimate": found.value,
            "standard_error": found.standard_error,
            "low": found.low,
            "high": found.high,
            "level": found.level,
            "df": found.df,
            "replicates": found.replicates.tolist(),
        }
    )


def _number(value: float) -> str:
    """Return a number with five significant digits, a large one as a whole number."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.5g}"
