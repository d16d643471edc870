"""The report on a year: maps and a table of its states."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from microplex_pipeline.reports.county_section import county_figure
from microplex_pipeline.reports.figure import Figure
from microplex_pipeline.reports.geography import FIPS, Topology, area_names, load_boundaries
from microplex_pipeline.reports.maps import class_map, value_map
from microplex_pipeline.reports.official_section import national_official_table
from microplex_pipeline.reports.page import render
from microplex_pipeline.reports.tables import (
    Column,
    Table,
    absolute_error,
    count,
    decimals,
    fine_percent,
    percent,
    percent_change,
    table,
)
from microplex_pipeline.survey import SurveyWords

STATE_MAP, COUNTY_MAP = (350, 230), (900, 560)


def national_page(
    year: int,
    states: pl.DataFrame,
    counties: pl.DataFrame,
    official: pl.DataFrame,
    tolerance: float,
    words: SurveyWords,
    boundaries: Path,
) -> str:
    """Return the report as one self-contained HTML page; the same inputs give the same bytes.

    Parameters
    ----------
    states : one row per state built, with the columns of SUMMARY_COLUMNS except html.
    counties : one row per county and target, for all states built.
    official : one row per state and official total, for all states built.
    tolerance : relative error up to which targets of states counted as met.
    words : readable names of the survey's columns and codes.
    boundaries : TopoJSON file of states and counties, see `load_boundaries`.

    Raises
    ------
    DataFileError
        If the file of boundaries is missing or unusable.
    """
    topology = load_boundaries(boundaries)
    names = area_names(topology, "states")
    fips = pl.col("state").replace_strict(FIPS).alias("fips")
    states = states.with_columns(fips).sort("state")
    built = set(states["state"])
    return render(
        "national.html",
        year=year,
        states=states.height,
        all_states=len(FIPS),
        missing={code: names[f] for code, f in sorted(FIPS.items()) if code not in built},
        persons=float(states["persons"].sum()),
        records=int(states["records"].sum()),
        targets=int(states["targets"].sum()),
        targets_met=int(states["targets_met"].sum()),
        targets_published=int(states["targets_published"].sum()),
        targets_shares=int(states["targets_shares"].sum()),
        targets_pooled=int(states["targets_pooled"].sum()),
        targets_modelled=int(states["targets_modelled"].sum()),
        amounts=int(states["amounts"].sum()),
        amounts_beyond=int(states["amounts_beyond"].sum()),
        with_failed_checks=states.filter(pl.col("checks_failed") > 0)["state"].to_list(),
        households_gap=_households_gap(states),
        surveyed_households=int(states["surveyed_households"].sum()),
        effective_households=float(states["effective_households"].sum()),
        official=national_official_table(official, words),
        tolerance=tolerance,
        counties=counties["geoid"].n_unique(),
        worst_county_error=float(counties["relative_error"].abs().max()),  # type: ignore[arg-type]
        aged=sorted(states.filter(pl.col("survey_year") != year)["survey_year"].unique()),
        table=_state_table(states, names),
        figures=_state_figures(topology, states),
        county_figure=county_figure(topology, counties, COUNTY_MAP, note=" Grey: not built."),
    )


def _state_figures(topology: Topology, states: pl.DataFrame) -> list[Figure]:
    def by_state(column: str) -> dict[str, float]:
        return dict(states.select("fips", column).iter_rows())

    return [
        Figure(
            "Worst target error",
            f"Map of {states.height} states by the largest relative error of a target.",
            "Largest relative error of a state's targets; exact means below 10\u207b\u2079. "
            "Grey: not built.",
            class_map(topology, "states", by_state("worst_target_error"), STATE_MAP),
        ),
        Figure(
            "Effective sample size",
            f"Map of {states.height} states by effective number of households.",
            "Kish's effective sample size of the synthetic households' weights. The table gives the "
            "number of surveyed units.",
            value_map(topology, "states", by_state("effective_households"), STATE_MAP),
        ),
        Figure(
            "Amounts beyond sampling",
            f"Map of {states.height} states by number of headline amounts beyond sampling.",
            "Headline amounts that differ from the state's survey by more than sampling explains. "
            "Grey: not built.",
            value_map(
                topology, "states", by_state("amounts_beyond"), STATE_MAP, number_format="d"
            ),
        ),
    ]


def _households_gap(states: pl.DataFrame) -> float | None:
    """Return how far the weighted households are off the published, in the states that have both."""
    known = states.filter(pl.col("published_households").is_not_null())
    if known.is_empty():
        return None
    return (
        float(known["weighted_households"].sum()) / float(known["published_households"].sum()) - 1
    )


def _state_table(states: pl.DataFrame, names: dict[str, str]) -> Table:
    columns = [
        Column("state", "State"),
        Column("name", "Name"),
        Column("respondents", "Surveyed units", count),
        Column("records", "Synthetic units", count),
        Column("surveyed_households", "Surveyed households", count),
        Column("persons", "Persons", count, "number that the weights represent"),
        Column("households_gap", "Households", percent_change,
               "represented by the weights, relative to the published number"),
        Column("met", "Targets met"),
        Column("worst_target_error", "Worst error", absolute_error, "largest error of a target"),
        Column("effective_households", "Effective households", count,
               "Kish's effective sample size"),
        Column("design_effect", "Design effect", decimals(2), "Kish's design effect"),
        Column("amounts_beyond", "Beyond sampling", count, "headline amounts"),
        Column("amounts_doubtful", "Doubtful", count, "headline amounts"),
        Column("largest_record_share", "Largest share", percent,
               "largest share of a headline total that one household carries"),
        Column("disclosure_above", "Above chance", count, "measures of disclosure"),
        Column("copies", "Copies", fine_percent, "synthetic units identical to a surveyed one"),
        Column("counties", "Counties", count),
        Column("worst_county_error", "Worst county error", absolute_error),
        Column("failed_checks", "Checks not passed"),
    ]  # fmt: skip
    named = states.with_columns(
        pl.col("fips").replace_strict(names).alias("name"),
        pl.format("{} of {}", "targets_met", "targets").alias("met"),
        (pl.col("weighted_households") / pl.col("published_households") - 1).alias(
            "households_gap"
        ),
        pl.when(pl.col("failed_checks") != "").then("failed_checks").alias("failed_checks"),
    )
    return table(
        "States, with links to their reports",
        named,
        columns,
        pl.col("targets_met") < pl.col("targets"),
        pl.col("checks_failed") > 0,
        {state: f"{state}.html" for state in states["state"]},
    )
