"""The report on a year: its states side by side."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from microplex_pipeline.reports.figure import Figure
from microplex_pipeline.reports.geography import FIPS, area_names, load_boundaries
from microplex_pipeline.reports.maps import class_map, value_map
from microplex_pipeline.reports.page import package_versions, render
from microplex_pipeline.reports.tables import (
    Column,
    Table,
    absolute_error,
    count,
    decimals,
    fine_percent,
    table,
)

STATE_MAP, COUNTY_MAP = (350, 230), (900, 560)


def national_page(
    year: int, states: pl.DataFrame, counties: pl.DataFrame, tolerance: float, boundaries: Path
) -> str:
    """Return the report as one HTML page that needs nothing but itself; same inputs, same bytes.

    Parameters
    ----------
    states : a row per state built, with the columns of SUMMARY_COLUMNS but the page.
    counties : a row per county and target, of all states built.
    tolerance : relative error up to which the states' targets counted as met.
    boundaries : TopoJSON file of states and counties, see `load_boundaries`.
    """
    topology = load_boundaries(boundaries)
    names = area_names(topology, "states")
    fips = pl.col("state").replace_strict(FIPS).alias("fips")
    states = states.with_columns(fips).sort("state")
    missing = {
        code: names[f] for code, f in sorted(FIPS.items()) if code not in set(states["state"])
    }

    def by_state(column: str) -> dict[str, float]:
        return dict(states.select("fips", column).iter_rows())

    figures = [
        Figure(
            "Worst target error",
            f"Map of {states.height} states by the largest relative error of a target.",
            "Of a state's targets, relative; exact is below 10\u207b\u2079. Grey: not built.",
            class_map(topology, "states", by_state("worst_target_error"), STATE_MAP),
        ),
        Figure(
            "Effective sample size",
            f"Map of {states.height} states by effective number of households.",
            "Kish's, of the synthetic households' weights. How many were surveyed, the table says.",
            value_map(topology, "states", by_state("effective_households"), STATE_MAP),
        ),
        Figure(
            "Mean KS distance",
            f"Map of {states.height} states by mean KS distance of the headline amounts.",
            "Of synthetic from surveyed headline amounts, 0 to 1. Small samples are apart by chance.",
            value_map(topology, "states", by_state("mean_ks"), STATE_MAP, written=".3f"),
        ),
    ]
    county_values = dict(counties.select("geoid", "households").iter_rows())
    county_figure = Figure(
        "Households by county",
        f"Map of {len(county_values)} counties, coloured by households.",
        "Sum of each county's weights, on a logarithmic scale. Grey: not built.",
        value_map(topology, "counties", county_values, COUNTY_MAP, scale="log"),
    )
    return render(
        "national.html",
        year=year,
        states=states.height,
        all_states=len(FIPS),
        missing=missing,
        persons=float(states["persons"].sum()),
        records=int(states["records"].sum()),
        targets=int(states["targets"].sum()),
        targets_met=int(states["targets_met"].sum()),
        tolerance=tolerance,
        counties=len(county_values),
        worst_county_error=float(counties["relative_error"].abs().max()),  # type: ignore[arg-type]
        aged=sorted(states.filter(pl.col("survey_year") != year)["survey_year"].unique()),
        table=_state_table(states, names),
        figures=figures,
        county_figure=county_figure,
        versions=package_versions(),
        count=count,
        absolute_error=absolute_error,
    )


def _state_table(states: pl.DataFrame, names: dict[str, str]) -> Table:
    columns = [
        Column("state", "State"),
        Column("name", "Name"),
        Column("respondents", "Surveyed units", count),
        Column("records", "Synthetic units", count),
        Column("persons", "Persons", count, "that the weights stand for"),
        Column("met", "Targets met"),
        Column("worst_target_error", "Worst error", absolute_error, "of a target"),
        Column("effective_households", "Effective households", count, "Kish"),
        Column("design_effect", "Design effect", decimals(2), "Kish"),
        Column("mean_ks", "Mean KS", decimals(4), "over headline amounts"),
        Column("copies", "Copies", fine_percent, "synthetic units equal to a surveyed one"),
        Column("counties", "Counties", count),
        Column("worst_county_error", "Worst county error", absolute_error),
    ]
    named = states.with_columns(
        pl.col("fips").replace_strict(names).alias("name"),
        pl.format("{} of {}", "targets_met", "targets").alias("met"),
    )
    return table(
        "States; each leads to its own report",
        named,
        columns,
        pl.col("targets_met") < pl.col("targets"),
        {state: f"{state}.html" for state in states["state"]},
    )
