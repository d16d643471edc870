"""Each target, the value achieved and the error."""

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.targets.precision import IS_EXACT
from microplex_pipeline.calibration.targets.pulls import target_pulls
from microplex_pipeline.calibration.targets.table import TARGET_COLUMNS
from microplex_pipeline.defs.assets.pictures import markdown_picture, target_chart
from microplex_pipeline.defs.assets.state_year import (
    metadata_table,
    state_year_asset,
    stored_records,
)
from microplex_pipeline.defs.assets.target_inputs import with_target_columns
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.diagnostics import target_errors
from microplex_pipeline.reports import in_words


@state_year_asset("evaluation", "polars", code_version="3", files=["target_files"])
def target_report(
    data: dg.ResourceParam[DataFolder], calibrated_population: pl.DataFrame, targets: pl.DataFrame
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per target: its source, its value, the value that the weights achieve and the error.

    A relative error of 0.001 is a tenth of a percent. Raking meets a target exactly, within its tolerance,
    or, if it has a standard error, penalizes its miss: z is the error in standard errors. `pull` says how
    much a target moves weights, and `against` which other target pulls them back.
    """
    schema = data.survey_schema
    records = with_target_columns(data, calibrated_population, targets)
    errors = target_errors(records, targets, schema.weight, schema.household)
    pulls = target_pulls(records, targets, schema.weight, "design_weight", schema.household)
    errors = errors.join(pulls, on="target", how="left", maintain_order="left")
    exact = IS_EXACT
    worst = errors.sort(pl.col("z").abs().fill_null(0.0), descending=True).head(5)
    return stored_records(
        errors,
        TARGET_COLUMNS,
        {
            "targets": errors.height,
            "met_exactly": errors.filter(exact).height,
            "worst_error": float(errors.filter(exact)["relative_error"].abs().max() or 0.0),  # type: ignore[arg-type]
            "worst_z": float(errors["z"].abs().max() or 0.0),  # type: ignore[arg-type]
            "worst_targets": metadata_table(
                worst.select(
                    in_words(worst["target"], data.words),
                    "value",
                    "achieved",
                    "z",
                    "against",
                )
            ),
            "target_fit": dg.MetadataValue.md(markdown_picture("targets", target_chart(errors))),
        },
    )
