"""The report that the statistician in charge reads and signs."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.seeds import seeds_of
from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.assets.target_inputs import with_target_columns
from microplex_pipeline.defs.origins import provenance_of
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation import judgements
from microplex_pipeline.evaluation.cost_of_bounds import cost_of_bounds
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
    code_version="10",
    reads=["checks", "calibration"],
    files=["boundaries", "column_descriptions", "citations", "target_files"],
)
def state_report(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    survey: pl.DataFrame,
    calibrated_population: pl.DataFrame,
    targets: pl.DataFrame,
    target_report: pl.DataFrame,
    fidelity_report: pl.DataFrame,
    joint_report: pl.DataFrame,
    disclosure_report: pl.DataFrame,
    county_weights: pl.DataFrame,
    county_report: pl.DataFrame,
    concentration: pl.DataFrame,
    official_report: pl.DataFrame,
    held_out_report: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row: the headline numbers of a state and year, and its report as one HTML page.

    The report begins with a verdict, and covers the inputs and their limits, checks, fidelity by amount and
    jointly, targets met, missed and held out, official figures, weights, totals that rest on few records,
    counties, disclosure risk and the source of every figure. It needs no other file:
    `microplex report RI 2014` opens it.
    """
    state, year = state_and_year(context)
    schema, limits = data.survey_schema, parameters.checks
    spread = (limits.max_record_share, limits.max_top_ten_share)
    met = (limits.target_tolerance, limits.max_target_z)
    surveyed = with_target_columns(data, survey, targets)
    records = with_target_columns(data, calibrated_population, targets)
    judged = [
        judgements.totals_plausible(
            surveyed, targets, schema, limits.max_total_ratio, limits.max_pooled_ratio
        ),
        judgements.parts_plausible(surveyed, targets, schema, limits.max_cell_ratio),
        judgements.amounts_within_sampling(fidelity_report),
        judgements.weights_even(records, schema, limits.max_weight_ratio),
        judgements.totals_spread(concentration, *spread, limits.max_record_share_blocking),
        judgements.targets_met(target_report, *met),
        judgements.disclosure_by_chance(
            disclosure_report,
            limits.max_disclosure_z,
            limits.max_disclosure_excess,
            limits.disclosure_blocks,
        ),
        judgements.counties_add_up(county_weights, records, schema),
        judgements.county_totals_spread(concentration, *spread),
    ]
    bounds = parameters.calibration.bounds
    keys = (schema.weight, schema.household)
    results = StateResults(
        schema, survey, records, target_report, fidelity_report, joint_report, disclosure_report,
        county_report, concentration, official_report, held_out_report, judged, *met,
        {"largest_share": limits.max_record_share, "top_ten_share": limits.max_top_ten_share},
        cost_of_bounds(
            records, targets, *keys, bounds, *met, survey[schema.household].n_unique()
        ) if bounds else None,
    )  # fmt: skip
    summary = state_summary(results)
    html = state_page(
        state,
        year,
        results,
        title=edition_title(data.survey_schema, data.path, int(survey["survey_year"][0])),
        words=data.words,
        provenance=provenance_of(context, seeds_of(context)),
        boundaries=data.boundaries,
        citations=data.citations,
    )
    numbers = {
        k: v
        for k, v in summary.items()
        if k not in ("respondents", "survey_year") and v is not None
    }
    return stored_records(
        pl.DataFrame([{"state": state, "year": year, **summary, "html": html}]).with_columns(
            pl.col("year", "survey_year").cast(pl.Int32),
            pl.col("published_households").cast(pl.Float64),  # null if there is no figure
        ),
        SUMMARY_COLUMNS,
        {
            "open_it": dg.MetadataValue.text(f"microplex report {state} {year}"),
            **numbers,
            "kilobytes": len(html.encode()) // 1000,
        },
    )
