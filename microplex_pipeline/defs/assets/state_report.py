"""The report that the statistician in charge reads and signs."""

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.targets.derived import with_derived
from microplex_pipeline.defs.assets.seeds import seeds_of
from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.reports import (
    SUMMARY_COLUMNS,
    StateResults,
    state_page,
    state_summary,
)
from microplex_pipeline.survey import edition_title


@state_year_asset(
    "evaluation",
    "html",
    code_version="2",
    reads=["checks"],
    files=["boundaries", "column_descriptions", "target_files"],
)
def state_report(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    survey: pl.DataFrame,
    calibrated_population: pl.DataFrame,
    target_report: pl.DataFrame,
    fidelity_report: pl.DataFrame,
    disclosure_report: pl.DataFrame,
    county_report: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row: the headline numbers of a state and year, and its report as one HTML page.

    The report covers the inputs, fidelity by amount, targets met and missed, weights, counties, disclosure
    risk and the source of every figure. It needs no other file: `microplex report RI 2014` opens it.
    """
    state, year = state_and_year(context)
    schema = data.survey_schema
    keys = {"year": schema.year, "household_id": schema.household}
    records = with_derived(calibrated_population, data.target_sources, target_report, **keys)
    results = StateResults(
        data.survey_schema, survey, records, target_report, fidelity_report, disclosure_report,
        county_report, parameters.checks.target_tolerance, parameters.checks.max_target_z,
    )  # fmt: skip
    summary = state_summary(results)
    html = state_page(
        state,
        year,
        results,
        title=edition_title(data.survey_schema, data.path, int(survey["survey_year"][0])),
        words=data.words,
        seeds=seeds_of(context),
        boundaries=data.boundaries,
    )
    numbers = {k: v for k, v in summary.items() if k not in ("respondents", "survey_year")}
    return stored_records(
        pl.DataFrame([{"state": state, "year": year, **summary, "html": html}]).with_columns(
            pl.col("year", "survey_year").cast(pl.Int32)
        ),
        SUMMARY_COLUMNS,
        {
            "open_it": dg.MetadataValue.text(f"microplex report {state} {year}"),
            **numbers,
            "kilobytes": len(html.encode()) // 1000,
        },
    )
