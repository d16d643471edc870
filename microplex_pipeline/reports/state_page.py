"""The report on one state and year, which the responsible statistician reads before signing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from microplex_pipeline.evaluation.diagnostics import weight_summary
from microplex_pipeline.reports.charts import ratio_chart
from microplex_pipeline.reports.checks_section import checks_table
from microplex_pipeline.reports.concentration_section import concentration_tables
from microplex_pipeline.reports.county_section import county_figure, county_table
from microplex_pipeline.reports.disclosure_section import disclosure_table
from microplex_pipeline.reports.fidelity_section import distribution_figures, fidelity_tables
from microplex_pipeline.reports.figure import Figure
from microplex_pipeline.reports.geography import FIPS, Topology, area_names, load_boundaries
from microplex_pipeline.reports.held_out_section import held_out_table
from microplex_pipeline.reports.joint_section import joint_table
from microplex_pipeline.reports.official_section import official_table
from microplex_pipeline.reports.page import render
from microplex_pipeline.reports.provenance_section import (
    Provenance,
    file_table,
    parameter_rows,
    source_table,
)
from microplex_pipeline.reports.state_results import StateResults
from microplex_pipeline.reports.summary import state_summary
from microplex_pipeline.reports.target_section import repeated_notes, target_figure, target_table
from microplex_pipeline.reports.target_words import in_words
from microplex_pipeline.reports.verdict import verdict
from microplex_pipeline.survey import SurveyWords, weighted_persons

MAP = (560, 380)


def state_page(
    state: str,
    year: int,
    results: StateResults,
    *,
    title: str,
    words: SurveyWords,
    provenance: Provenance,
    boundaries: Path,
    citations: Path,
) -> str:
    """Return the report as one self-contained HTML page; the same inputs give the same bytes.

    Parameters
    ----------
    state : postal code.
    title : title of the survey edition, see `edition_title`.
    words : readable names of the survey's columns and codes.
    provenance : what the page and everything before it were made from.
    boundaries : TopoJSON file of states and counties, see `load_boundaries`.
    citations : CSV file of the sources' tables and addresses, see `source_table`.

    Raises
    ------
    DataFileError
        If the file of boundaries or of citations is missing or unusable.
    """
    topology = load_boundaries(boundaries)
    schema, survey, tolerance = results.schema, results.survey, results.tolerance
    headline, others = distribution_figures(results, words)
    summary = state_summary(results)
    names = area_names(topology, "counties")
    return render(
        "state.html",
        name=area_names(topology, "states")[FIPS[state]],
        year=year,
        survey_title=title,
        survey_households=survey[schema.household].n_unique(),
        survey_persons=weighted_persons(survey, schema),
        summary=summary,
        findings=verdict(results, summary, words),
        limits=schema.limits,
        checks=checks_table(results.judgements),
        tolerance=tolerance,
        max_z=results.max_z,
        distributions=headline,
        other_distributions=others,
        **fidelity_tables(results.fidelity, schema, words),
        joint=joint_table(results.joint, words),
        held_out=held_out_table(results.held_out),
        official=official_table(results.official, words),
        target_figure=target_figure(schema, results.calibrated, results.targets, words),
        targets=target_table(results.targets, tolerance, results.max_z, words),
        target_notes=repeated_notes(results.targets),
        **_weights(results.weights, results.design_weights),
        **_counties(results, topology, FIPS[state], words),
        **concentration_tables(
            results.concentration, results.targets, words, names, results.spread_limits
        ),
        cost=results.cost,
        spread_limits=results.spread_limits,
        disclosure=disclosure_table(results.disclosure),
        sources=source_table(results.targets, results.counties, citations),
        files=file_table(provenance),
        parameters=parameter_rows(provenance),
        provenance=provenance,
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
