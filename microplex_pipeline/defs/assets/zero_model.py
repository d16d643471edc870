"""The model of which amounts are zero, negative or positive."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import state_year_asset
from microplex_pipeline.defs.assets.training import training_metadata
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.training import training_records
from microplex_pipeline.synthesis import Prior, Transformer, ZeroModel


@state_year_asset(
    "models", "pytorch", code_version="8", reads=["seed", "fine_tuning"], pool="training"
)
def zero_model(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    survey: pl.DataFrame,
    transformer: Transformer,
    national_prior: Prior,
) -> dg.MaterializeResult[ZeroModel]:
    """One row: the joint model of which amounts of a unit are zero, negative or positive.

    A masked autoregressive network over all amounts, given the unit's demographics. It reproduces how often
    a unit has both interest and dividends, for example, not only each share separately. The loss curve
    shows its gain on held-out records.
    """
    records, weights = training_records(survey, data.survey_schema)
    fitted = ZeroModel.fit(
        records,
        transformer,
        weights,
        parameters.fine_tuning,
        parameters.seed,
        prior=national_prior.zero_model,
    )
    best = min(epoch["validation_loss"] for epoch in fitted.history)
    metadata = {**training_metadata(fitted, records, parameters), "held_out_loss": best}
    return dg.MaterializeResult(value=fitted, metadata=metadata)
