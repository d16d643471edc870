"""The calibration targets: what the weights must add up to."""

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.targets.state_targets import (
    SurveyColumns,
    TargetFiles,
    state_targets,
)
from microplex_pipeline.calibration.targets.table import TARGET_COLUMNS
from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.survey import aged_title


@state_year_asset("calibration", "polars", code_version="1", files=["target_files"])
def targets(
    context: dg.AssetExecutionContext, data: dg.ResourceParam[DataFolder], survey: pl.DataFrame
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per calibration target of a state and year: what to add up, the value and its source.

    Published targets: persons (Census); shares of households by income (ACS 2011-2013, for 2012 to 2014).
    Modelled targets: totals of units by filing status and age, and of headline amounts, estimated from the
    survey after it was grossed up to the published persons and raked to the published figures.
    """
    state, year = state_and_year(context)
    schema = data.survey_schema
    rows, factor = state_targets(
        survey,
        TargetFiles(data.target_sources, data.targets, state, year, data.population),
        SurveyColumns(schema.weight, schema.household, schema.persons),
        aged_title(schema, data.path, int(survey["survey_year"][0]), year),
    )
    published = rows.filter(pl.col("kind") == "published")
    return stored_records(
        rows,
        TARGET_COLUMNS,
        {
            "published": published.height,
            "modelled": rows.height - published.height,
            "published_persons_over_the_surveys": factor,
            "scaled": "; ".join(published["note"].drop_nulls().unique()) or "no published figure",
        },
    )
