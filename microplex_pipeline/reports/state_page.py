"""The report on one state and year, which the responsible statistician reads before signing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.evaluation.diagnostics import weight_summary
from microplex_pipeline.evaluation.disclosure import DISCLOSURE_MEASURES
from microplex_pipeline.reports.charts import ratio_chart
from microplex_pipeline.reports.county_section import county_figure, county_table
from microplex_pipeline.reports.fidelity_section import distribution_figures, fidelity_table
from microplex_pipeline.reports.figure import Figure
from microplex_pipeline.reports.geography import FIPS, Topology, area_names, load_boundaries
from microplex_pipeline.reports.page import render
from microplex_pipeline.reports.state_results import StateResults
from microplex_pipeline.reports.summary import state_summary
from microplex_pipeline.reports.tables import Column, Table, count, fine_percent, table
from microplex_pipeline.reports.target_section import repeated_notes, target_figure, target_table
from microplex_pipeline.reports.target_words import in_words
from microplex_pipeline.survey import SurveyWords, weighted_persons

MAP = (560, 380)


def state_page(
    state: str,
    year: int,
    results: StateResults,
    *,
    title: str,
    words: SurveyWords,
    seeds: Mapping[str, int],
    boundaries: Path,
) -> str:
    """Return the report as one self-contained HTML page; the same inputs give the same bytes.

    Parameters
    ----------
    state : postal code.
    title : title of the survey edition, see `edition_title`.
    words : readable names of the survey's columns and codes.
    seeds : known random seeds, by step.
    boundaries : TopoJSON file of states and counties, see `load_boundaries`.

    Raises
    ------
    DataFileError
        If the file of boundaries is missing or unusable.
    """
    topology = load_boundaries(boundaries)
    schema, survey, tolerance = results.schema, results.survey, results.tolerance
    headline, others = distribution_figures(results, words)
    return render(
        "state.html",
        name=area_names(topology, "states")[FIPS[state]],
        year=year,
        survey_title=title,
        survey_households=survey[schema.household].n_unique(),
        survey_persons=weighted_persons(survey, schema),
        summary=state_summary(results),
        tolerance=tolerance,
        max_z=results.max_z,
        distributions=headline,
        other_distributions=others,
        fidelity=fidelity_table(results.fidelity, schema, words),
        target_figure=target_figure(schema, results.calibrated, results.targets, words),
        targets=target_table(results.targets, tolerance, results.max_z, words),
        target_notes=repeated_notes(results.targets),
        **_weights(results.weights, results.design_weights),
        **_counties(results, topology, FIPS[state], words),
        disclosure=_disclosure_table(results.disclosure),
        sources=_source_table(results.targets, results.counties),
        seeds=seeds,
    )


def _weights(weights: np.ndarray, design: np.ndarray) -> dict[str, Any]:
    """Return the contents of the section on weights."""
    ratios = weights / design
    return {
        "weight_rows": [
            ("design", weight_summary(design, design)),
            ("calibrated", weight_summary(weights, design)),
        ],
        "weight_figure": Figure(
            "Ratios of calibrated weights to design weights",
            f"Histogram of the ratio of calibrated to design weight of {len(weights)} households, "
            f"from {ratios.min():.3g} to {ratios.max():.3g}.",
            "Number of households by calibrated over design weight, on a logarithmic axis.",
            ratio_chart(ratios),
        ),
    }


def _counties(
    results: StateResults, topology: Topology, state: str, words: SurveyWords
) -> dict[str, Any]:
    """Return the contents of the section on counties; `state` is the FIPS code."""
    counties = results.counties
    names = area_names(topology, "counties")
    targets = counties["target"].unique().sort()
    return {
        "counties": county_table(counties, names, results.tolerance, words),
        "county_figure": county_figure(topology, counties, MAP, within=state),
        "county_targets": list(zip(in_words(targets, words), targets, strict=True)),
    }


def _disclosure_table(disclosure: pl.DataFrame) -> Table:
    columns = [
        Column("share", "Share of", beneath="measure"),
        Column("value", "Synthetic records", fine_percent),
        Column("chance", "By chance", fine_percent),
        Column("meaning", "A value above chance would mean that"),
    ]
    share = pl.col("measure").replace(DISCLOSURE_MEASURES).alias("share")
    return table(
        "Disclosure measures compared with chance", disclosure.with_columns(share), columns
    )


def _source_table(targets: pl.DataFrame, counties: pl.DataFrame) -> Table:
    of_state = targets.select("kind", "source", pl.lit("state").alias("level"))
    of_counties = counties.select(
        pl.lit("published").alias("kind"),
        pl.format("{} (figures of {})", "source", "file_year").alias("source"),
        pl.lit("county").alias("level"),
    )
    rows = pl.concat([of_state, of_counties]).group_by("level", "kind", "source").len("targets")
    columns = [
        Column("level", "Level"),
        Column("kind", "Kind"),
        Column("source", "Source"),
        Column("targets", "Targets", count),
    ]
    return table(
        "Sources of the targets",
        rows.sort("level", "kind", "source", descending=[True, True, False]),
        columns,
    )
