"""The calibration targets: what the weights must add up to."""

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.grossed_up_survey import (
    entity_counts,
    gross_up_to_persons,
    rake_to_published,
)
from microplex_pipeline.calibration.targets.modelled import modelled_targets
from microplex_pipeline.calibration.targets.published import published_persons, published_targets
from microplex_pipeline.calibration.targets.table import TARGET_COLUMNS
from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.survey import aged_title


@state_year_asset("calibration", "polars", code_version="2", files=["target_files"])
def targets(
    context: dg.AssetExecutionContext, data: dg.ResourceParam[DataFolder], survey: pl.DataFrame
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per calibration target of a state and year: what to add up, the value and its source.

    Published targets: persons (Census); shares of households by income (ACS 2011-2013, for 2012 to 2014).
    Modelled targets: totals of units by filing status and age, and of headline amounts, estimated from the
    survey after it was grossed up to the published persons and raked to the published figures.
    """
    state, year = state_and_year(context)
    sources, schema = data.target_sources, data.survey_schema
    files = (sources, data.targets, state, year, data.population)
    keys = {"weight": schema.weight, "household_id": schema.household}
    grossed_up, factor = gross_up_to_persons(
        survey, published_persons(*files), persons_column=schema.persons, **keys
    )
    published = published_targets(*files, entity_counts(grossed_up, **keys))
    raked = rake_to_published(grossed_up, published, **keys)
    title = aged_title(schema, data.path, int(survey["survey_year"][0]), year)
    modelled = modelled_targets(raked, sources.modelled, schema.weight, title)
    rows = pl.concat([published, modelled]).select(
        pl.lit(state).alias("state"), pl.lit(year, pl.Int32).alias("year"), pl.all()
    )
    return stored_records(
        rows,
        TARGET_COLUMNS,
        {
            "published": int((published["kind"] == "published").sum()),
            "shares": int((published["kind"] == "share").sum()),
            "modelled": modelled.height,
            "published_persons_over_the_surveys": factor,
            "scaled": "; ".join(published["note"].drop_nulls().unique()) or "no published figure",
        },
    )
