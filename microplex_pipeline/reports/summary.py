"""The headline numbers of a state and year, for its own page and for the national table."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.evaluation.amount_fidelity import BEYOND, DOUBTFUL
from microplex_pipeline.evaluation.concentration import STATE
from microplex_pipeline.evaluation.diagnostics import is_met, weight_summary
from microplex_pipeline.evaluation.disclosure import ABOVE
from microplex_pipeline.reports.state_results import StateResults
from microplex_pipeline.survey import weighted_persons

SUMMARY_COLUMNS = {
    "respondents": "surveyed units on which the models were trained",
    "surveyed_households": "surveyed households",
    "survey_year": "year in which they were surveyed; if earlier than the year, the records are aged",
    "records": "synthetic units",
    "households": "synthetic households",
    "persons": "persons that the calibrated weights represent",
    "weighted_households": "households that they represent",
    "published_households": "households that the statistical office counts; null if there is no figure",
    "targets": "number of targets",
    "targets_published": "of these, published totals",
    "targets_moved": "of these, moved to the year from another one",
    "targets_shares": "of the targets, published shares of a count that is the survey's",
    "targets_pooled": "of the targets, totals pooled over the survey's years",
    "targets_modelled": "of the targets, the survey's own totals",
    "targets_met": "number of targets met within the limits of the checks: exactly, or within their errors",
    "worst_target_error": "largest absolute relative error of a target that is met exactly",
    "effective_households": "Kish's effective sample size of the household weights",
    "design_effect": "Kish's design effect of the household weights",
    "amounts": "headline amounts",
    "amounts_beyond": "of these, different from the survey by more than sampling explains",
    "amounts_doubtful": "of these, different from the survey, though sampling may explain it",
    "largest_record_share": "largest share of a headline total that one household carries",
    "disclosure_above": "measures of disclosure above chance",
    "copies": "share of synthetic units identical to a surveyed one in every column",
    "counties": "number of counties with weights",
    "worst_county_error": "largest absolute relative error of a county's total",
    "checks": "number of checks",
    "checks_failed": "number of checks that did not pass",
    "failed_checks": "their names",
    "html": "the report as one self-contained HTML page",
}


def state_summary(results: StateResults) -> dict[str, int | float | str | None]:
    """Return the headline numbers, named and ordered as in SUMMARY_COLUMNS, without the page."""
    weights = weight_summary(results.weights, results.design_weights)
    met = results.targets.select(is_met(results.tolerance, results.max_z).alias("met"))["met"]
    exact = results.targets.filter(pl.col("z").is_null())["relative_error"].abs()
    kinds = dict(results.targets["kind"].value_counts().iter_rows())
    moved = results.targets.filter(
        pl.col("kind") == "published", pl.col("note").str.contains("moved to")
    )
    county_errors = results.counties["relative_error"].abs()
    copies = results.disclosure.filter(pl.col("measure") == "copies")["value"]
    households = results.published_households
    verdicts = results.fidelity.filter("headline")["verdict"]
    of_state = results.concentration.filter(pl.col("area") == STATE, pl.col("kind") == "amount")
    failed = [judgement.check for judgement in results.judgements if not judgement.passed]
    return {
        "respondents": results.survey.height,
        "surveyed_households": results.survey[results.schema.household].n_unique(),
        "survey_year": int(results.survey["survey_year"][0]),
        "records": results.calibrated.height,
        "households": results.households.height,
        "persons": weighted_persons(results.calibrated, results.schema),
        "weighted_households": weights["total"],
        "published_households": float(households["value"]) if households else None,
        "targets": results.targets.height,
        "targets_published": kinds.get("published", 0),
        "targets_moved": moved.height,
        "targets_shares": kinds.get("share", 0),
        "targets_pooled": kinds.get("pooled", 0),
        "targets_modelled": kinds.get("modelled", 0),
        "targets_met": int(met.sum()),
        "worst_target_error": float(exact.max() or 0.0),  # type: ignore[arg-type]
        "effective_households": weights["effective_sample_size"],
        "design_effect": weights["design_effect"],
        "amounts": len(verdicts),
        "amounts_beyond": int((verdicts == BEYOND).sum()),
        "amounts_doubtful": int((verdicts == DOUBTFUL).sum()),
        "largest_record_share": float(of_state["largest_share"].max()),  # type: ignore[arg-type]
        "disclosure_above": int((results.disclosure["verdict"] == ABOVE).sum()),
        "copies": float(copies[0]),
        "counties": results.counties["geoid"].n_unique(),
        "worst_county_error": float(county_errors.max()),  # type: ignore[arg-type]
        "checks": len(results.judgements),
        "checks_failed": len(failed),
        "failed_checks": ", ".join(failed),
    }
