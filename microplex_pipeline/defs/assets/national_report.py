"""The page that compares the states of a year."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import stored_records, year_asset
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.reports import SUMMARY_COLUMNS, national_page

NATIONAL_COLUMNS = {
    "states": "number of states built",
    "html": "the report as one self-contained page",
}


@year_asset(
    "evaluation",
    "html",
    code_version="2",
    reads=["checks"],
    files=["boundaries", "column_descriptions"],
    # built once all states of any year are built, and again whenever one of them is rebuilt
    automation_condition=dg.AutomationCondition.eager()
    .without(dg.AutomationCondition.in_latest_time_window())
    # files may never have been observed
    .ignore(dg.AssetSelection.assets("boundaries", "column_descriptions", "survey_schema")),
    ins={
        "state_report": dg.AssetIn(  # everything except the pages
            metadata={"columns": ["state", "year", *(c for c in SUMMARY_COLUMNS if c != "html")]}
        )
    },
)
def national_report(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    state_report: pl.DataFrame,
    county_report: pl.DataFrame,
    official_report: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row: an HTML page that compares the states of a year that are built, with maps and a table.

    States that are not built are listed and shown in grey. Links lead to the pages of the states, which
    `microplex report --year 2014` writes beside it.
    """
    year = int(context.partition_key)
    html = national_page(
        year,
        state_report,
        county_report,
        official_report,
        parameters.checks.target_tolerance,
        data.words,
        data.boundaries,
    )
    row = pl.DataFrame(
        [{"state": "US", "year": year, "states": state_report.height, "html": html}]
    )
    return stored_records(
        row.with_columns(pl.col("year").cast(pl.Int32)),
        NATIONAL_COLUMNS,
        {
            "open_it": dg.MetadataValue.text(f"microplex report --year {year}"),
            "states": state_report.height,
            "worst_target_error": float(state_report["worst_target_error"].max()),  # type: ignore[arg-type]
            "kilobytes": len(html.encode()) // 1000,
        },
    )
