"""Step 8: weights that meet the targets."""

import dagster as dg
import numpy as np
import polars as pl

from microplex_pipeline.calibration import Reweighter, Targets
from microplex_pipeline.defs.assets.pictures import markdown_picture, weight_chart
from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.diagnostics import design_effect, effective_sample_size
from microplex_pipeline.survey.columns import SYNTHETIC_KEYS


@state_year_asset("calibration", "scipy", code_version="1")
def calibrated_population(
    data: dg.ResourceParam[DataFolder], synthetic_population: pl.DataFrame, targets: pl.DataFrame
) -> dg.MaterializeResult[pl.DataFrame]:
    """The product: one row per synthetic tax unit, weighted so that the state's totals come out right.

    Sums and means of the state are those of the rows, weighted by `weight`, which all units of a
    household share. Raking gives the weights closest to the design weights that meet the targets, all
    positive; `design_weight` keeps the weight before.
    """
    schema = data.survey_schema
    records = Reweighter(distance="raking").fit_transform(
        synthetic_population,
        Targets(targets),
        schema.weight,
        household_id=schema.household,
    )
    records = records.with_columns(synthetic_population[schema.weight].alias("design_weight"))
    households = records.unique(schema.household, keep="first")
    weights = households[schema.weight].to_numpy()
    ratios = weights / households["design_weight"].to_numpy()
    return stored_records(
        records,
        data.column_descriptions | SYNTHETIC_KEYS,
        {
            "targets": targets.height,
            "design_effect": design_effect(weights),
            "effective_households": effective_sample_size(weights),
            "largest_weight_ratio": float(np.max(ratios)),
            "weight_distribution": dg.MetadataValue.md(
                markdown_picture("weights", weight_chart(ratios))
            ),
        },
    )
