"""The headline numbers of a state and year, for its own page and for the national table."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.evaluation.diagnostics import is_met, weight_summary
from microplex_pipeline.reports.state_results import StateResults
from microplex_pipeline.survey import weighted_persons

SUMMARY_COLUMNS = {
    "respondents": "surveyed units on which the models were trained",
    "survey_year": "year in which they were surveyed; if earlier than the year, the records are aged",
    "records": "synthetic units",
    "households": "synthetic households",
    "persons": "persons that the calibrated weights represent",
    "targets": "number of targets",
    "targets_met": "number of targets met within the limits of the checks: exactly, or within their errors",
    "worst_target_error": "largest absolute relative error of a target that is met exactly",
    "effective_households": "Kish's effective sample size of the household weights",
    "design_effect": "Kish's design effect of the household weights",
    "mean_ks": "Kolmogorov-Smirnov distance of synthetic from surveyed amounts, mean of headline amounts",
    "copies": "share of synthetic units identical to a surveyed one in every column",
    "counties": "number of counties with weights",
    "worst_county_error": "largest absolute relative error of a county's total",
    "html": "the report as one self-contained HTML page",
}


def state_summary(results: StateResults) -> dict[str, int | float]:
    """Return the headline numbers, named and ordered as in SUMMARY_COLUMNS, without the page."""
    weights = weight_summary(results.weights, results.design_weights)
    met = results.targets.select(is_met(results.tolerance, results.max_z).alias("met"))["met"]
    exact = results.targets.filter(pl.col("z").is_null())["relative_error"].abs()
    county_errors = results.counties["relative_error"].abs()
    copies = results.disclosure.filter(pl.col("measure") == "copies")["value"]
    return {
        "respondents": results.survey.height,
        "survey_year": int(results.survey["survey_year"][0]),
        "records": results.calibrated.height,
        "households": results.households.height,
        "persons": weighted_persons(results.calibrated, results.schema),
        "targets": results.targets.height,
        "targets_met": int(met.sum()),
        "worst_target_error": float(exact.max() or 0.0),  # type: ignore[arg-type]
        "effective_households": weights["effective_sample_size"],
        "design_effect": weights["design_effect"],
        "mean_ks": float(results.fidelity.filter("headline")["ks"].mean()),  # type: ignore[arg-type]
        "copies": float(copies[0]),
        "counties": results.counties["geoid"].n_unique(),
        "worst_county_error": float(county_errors.max()),  # type: ignore[arg-type]
    }
