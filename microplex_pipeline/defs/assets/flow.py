"""Step 5: how large the amounts are that are not zero."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import state_year_asset
from microplex_pipeline.defs.assets.training import training_metadata, training_records
from microplex_pipeline.defs.assets.zero_model import zero_model
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.synthesis import Flow, Prior, Transformer


# the flow trains on observed signs; it waits for the zero model so that a state whose signs cannot
# be modelled stops before the longer training
@state_year_asset(
    "models",
    "pytorch",
    code_version="1",
    reads=["seed", "fine_tuning"],
    pool="training",
    deps=[zero_model],
)
def flow(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    survey: pl.DataFrame,
    transformer: Transformer,
    national_prior: Prior,
) -> dg.MaterializeResult[Flow]:
    """How large the amounts are that are not zero: a model of each amount's size, one after the other.

    A conditional normalizing flow: exact densities in rank space given demography, the pattern of zeros
    and the amounts before. The loss curve shows what every density gained on records left out.
    """
    records, weights = training_records(survey, data.survey_schema)
    fitted = Flow.fit(
        records,
        transformer,
        weights,
        parameters.fine_tuning,
        parameters.seed,
        prior=national_prior.flow,
        progress=context.log.info,
    )
    metadata = {
        **training_metadata(fitted, records, parameters),
        "densities": len(fitted.inputs),
    }
    return dg.MaterializeResult(value=fitted, metadata=metadata)
