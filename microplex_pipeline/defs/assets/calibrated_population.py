"""The synthetic records with weights that meet the targets."""

import dagster as dg
import numpy as np
import polars as pl

from microplex_pipeline.defs.assets.pictures import markdown_picture, weight_chart
from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.diagnostics import design_effect, effective_sample_size
from microplex_pipeline.population.calibrated_records import calibrated_records
from microplex_pipeline.survey.columns import SYNTHETIC_KEYS


@state_year_asset(
    "calibration", "scipy", code_version="3", reads=["calibration"], files=["target_files"]
)
def calibrated_population(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    survey: pl.DataFrame,
    synthetic_population: pl.DataFrame,
    targets: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per synthetic tax unit, weighted so that the state's totals are met: the final microdata.

    Estimate sums and means of the state from these rows, weighted by `weight`; all units of a household
    have the same weight. Raking gives the positive weights that meet the targets, those with a standard
    error within it, and are closest to the design weights. Synthetic households count as no more
    observations than the surveyed ones. `design_weight` is the weight before calibration;
    `calibration.bounds` caps the ratio.
    """
    schema = data.survey_schema
    bounds = parameters.calibration.bounds
    surveyed = survey[schema.household].n_unique()
    records = calibrated_records(
        synthetic_population, targets, schema, data.target_sources, surveyed, bounds
    )
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
