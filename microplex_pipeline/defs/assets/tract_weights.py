"""The state's weights distributed across its census tracts."""

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.areas.published_figures import fit_published_areas
from microplex_pipeline.calibration.targets.published_areas import (
    TRACT_COLUMNS,
    published_area_targets,
)
from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_stream
from microplex_pipeline.defs.assets.target_inputs import with_target_columns
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.warehouse.slices import Parts


@state_year_asset(
    "calibration", "scipy", code_version="1", reads=["seed", "tracts"], files=["county_files"]
)
def tract_weights(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    calibrated_population: pl.DataFrame,
) -> dg.MaterializeResult[Parts]:
    """One row per tract and household: the number of such households in the tract.

    For states whose tract figures are declared under `areas` with `level: tract`. Every tract meets its
    figures within their precision, with at most `tracts.households` households. Tracts are written one by
    one, so that memory does not grow with their number.
    """
    state, year = state_and_year(context)
    schema = data.survey_schema
    targets = published_area_targets(data.target_sources, data.targets, state, year, level="tract")
    fitted = fit_published_areas(
        with_target_columns(data, calibrated_population, targets),
        targets,
        schema.weight,
        schema.household,
        households_per_area=parameters.tracts.households,
        seed=parameters.seed,
    )
    partition = [pl.lit(state).alias("state"), pl.lit(year, pl.Int32).alias("year")]
    errors = fitted.report_["relative_error"].abs()
    return stored_stream(
        (
            weights.select(*partition, pl.lit(geoid).alias("geoid"), pl.all())
            for geoid, weights in fitted.stream()
        ),
        TRACT_COLUMNS,
        {
            "tracts": targets["geoid"].n_unique(),
            "figures": targets.height,
            "mean_error": float(errors.mean()),  # type: ignore[arg-type]
            "worst_error": float(errors.max()),  # type: ignore[arg-type]
        },
    )
