"""The model of the sizes of amounts that are not zero."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import state_year_asset
from microplex_pipeline.defs.assets.training import training_metadata
from microplex_pipeline.defs.assets.zero_model import zero_model
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.training import training_records
from microplex_pipeline.synthesis import Flow, Prior, Transformer


# The flow trains on observed signs and does not need the zero model. It waits for it so that a state whose
# signs cannot be modelled stops before the longer training.
@state_year_asset(
    "models",
    "pytorch",
    code_version="6",
    reads=["seed", "fine_tuning"],
    pool="training",
    deps=[zero_model],
)
def flow(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    survey: pl.DataFrame,
    transformer: Transformer,
    national_prior: Prior,
) -> dg.MaterializeResult[Flow]:
    """One row: the model of the sizes of amounts that are not zero, drawn one amount after the other.

    A conditional normalizing flow with exact densities in rank space, given demographics, the pattern of
    zeros and the preceding amounts. The loss curve shows each density's gain on held-out records.
    """
    records, weights = training_records(survey, data.survey_schema)
    fitted = Flow.fit(
        records,
        transformer,
        weights,
        parameters.fine_tuning,
        parameters.seed,
        prior=national_prior.flow,
    )
    metadata = {
        **training_metadata(fitted, records, parameters),
        "densities": len(fitted.inputs),
    }
    return dg.MaterializeResult(value=fitted, metadata=metadata)
