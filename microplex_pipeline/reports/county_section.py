"""Counties on a page: the map of households, and the table of targets."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from microplex_pipeline.reports.figure import Figure
from microplex_pipeline.reports.geography import Topology
from microplex_pipeline.reports.maps import value_map
from microplex_pipeline.reports.tables import Column, Table, count, relative_error, table
from microplex_pipeline.reports.target_words import in_words
from microplex_pipeline.survey import SurveyWords


def county_figure(
    topology: Topology,
    counties: pl.DataFrame,
    size: tuple[int, int],
    *,
    within: str = "",
    note: str = "",
) -> Figure:
    """Return the map of households by county.

    Parameters
    ----------
    counties : one row per county and target, with geoid and households.
    size : largest width and height of the map, in pixels.
    within : FIPS code of the state to show, or "" for the nation.
    note : appended to the note beneath the map.
    """
    households = dict(counties.select("geoid", "households").iter_rows())
    return Figure(
        "Households by county",
        f"Map of {len(households)} counties, coloured by number of households.",
        f"Sum of each county's weights, on a logarithmic scale.{note}",
        value_map(topology, "counties", households, size, within=within, scale="log"),
    )


def county_table(
    counties: pl.DataFrame, names: Mapping[str, str], tolerance: float, words: SurveyWords
) -> Table:
    """Return the targets of counties; those missed by more than the tolerance are marked."""
    columns = [
        Column("geoid", "County"),
        Column("name", "Name"),
        Column("in_words", "Target"),
        Column("published", "Published", count),
        Column("achieved", "Achieved", count),
        Column("relative_error", "Error", relative_error,
               "relative to the published figure, scaled to the state's total"),
        Column("households", "Households", count),
        Column("effective_households", "Effective households", count,
               "Kish's effective sample size"),
    ]  # fmt: skip
    named = counties.with_columns(
        in_words(counties["target"], words),
        pl.col("geoid")
        .replace_strict(names, default="\u2013", return_dtype=pl.String)
        .alias("name"),
    )
    return table("Counties", named, columns, pl.col("relative_error").abs() > tolerance)
