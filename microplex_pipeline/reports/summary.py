"""The headline numbers of a state and year, on its own page and in the nation's table."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.evaluation.diagnostics import weight_summary
from microplex_pipeline.survey import SurveySchema

SUMMARY_COLUMNS = {
    "respondents": "surveyed units that the models were trained on",
    "survey_year": "year in which they were surveyed; earlier than the year: aged",
    "records": "synthetic units",
    "households": "synthetic households",
    "persons": "persons that the calibrated weights stand for",
    "targets": "targets",
    "targets_met": "targets met within the checks' tolerance",
    "worst_target_error": "largest relative error of a target, absolute",
    "effective_households": "Kish's effective sample size of the households' weights",
    "design_effect": "Kish's design effect of the households' weights",
    "mean_ks": "Kolmogorov-Smirnov distance of synthetic and surveyed amounts, mean over headline ones",
    "copies": "share of synthetic units that equal a surveyed one in everything",
    "counties": "counties with weights",
    "worst_county_error": "largest relative error of a county's total, absolute",
    "html": "the report, a page by itself",
}


def state_summary(
    schema: SurveySchema,
    survey: pl.DataFrame,
    calibrated: pl.DataFrame,
    targets: pl.DataFrame,
    fidelity: pl.DataFrame,
    disclosure: pl.DataFrame,
    counties: pl.DataFrame,
    tolerance: float,
) -> dict[str, int | float]:
    """Return the headline numbers, named and ordered as in SUMMARY_COLUMNS, without the page.

    Parameters
    ----------
    survey, calibrated : records of the state and year, `calibrated` with `design_weight`.
    targets, fidelity, disclosure, counties : reports on them, one row per target, amount, measure, and
        county and target.
    tolerance : relative error up to which a target counts as met.
    """
    households = calibrated.unique(schema.household, keep="first", maintain_order=True)
    weights = weight_summary(
        households[schema.weight].to_numpy(), households["design_weight"].to_numpy()
    )
    errors = targets["relative_error"].abs()
    copies = disclosure.filter(pl.col("measure") == "copies")["value"]
    return {
        "respondents": survey.height,
        "survey_year": int(survey["survey_year"][0]),
        "records": calibrated.height,
        "households": households.height,
        "persons": float((calibrated[schema.weight] * calibrated[schema.persons]).sum()),
        "targets": targets.height,
        "targets_met": int((errors <= tolerance).sum()),
        "worst_target_error": float(errors.max()),  # type: ignore[arg-type]
        "effective_households": weights["effective_sample_size"],
        "design_effect": weights["design_effect"],
        "mean_ks": float(fidelity.filter("headline")["ks"].mean()),  # type: ignore[arg-type]
        "copies": float(copies[0]),
        "counties": counties["geoid"].n_unique(),
        "worst_county_error": float(counties["relative_error"].abs().max()),  # type: ignore[arg-type]
    }
