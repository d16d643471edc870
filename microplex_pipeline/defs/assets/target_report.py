"""Each target, the value achieved and the error."""

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.targets.table import TARGET_COLUMNS
from microplex_pipeline.defs.assets.pictures import markdown_picture, target_chart
from microplex_pipeline.defs.assets.state_year import (
    metadata_table,
    state_year_asset,
    stored_records,
)
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.diagnostics import target_errors
from microplex_pipeline.reports import in_words


@state_year_asset("evaluation", "polars", code_version="1")
def target_report(
    data: dg.ResourceParam[DataFolder], calibrated_population: pl.DataFrame, targets: pl.DataFrame
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per target: its source, its value, the value that the weights achieve and the error.

    A relative error of 0.001 is a tenth of a percent. Raking meets every target; a target is missed only
    if it changed after calibration, or if the weights were not calibrated to it.
    """
    errors = target_errors(
        calibrated_population, targets, data.survey_schema.weight, data.survey_schema.household
    )
    worst = errors.sort(pl.col("relative_error").abs(), descending=True).head(5)
    return stored_records(
        errors,
        TARGET_COLUMNS,
        {
            "targets": errors.height,
            "worst_error": float(errors["relative_error"].abs().max()),  # type: ignore[arg-type]
            "worst_targets": metadata_table(
                worst.select(
                    in_words(worst["target"], data.words),
                    "value",
                    "achieved",
                    error="relative_error",
                )
            ),
            "target_fit": dg.MetadataValue.md(markdown_picture("targets", target_chart(errors))),
        },
    )
