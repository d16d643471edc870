"""Step 3: fitted transforms of the variables."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import state_year_asset
from microplex_pipeline.defs.assets.training import training_records
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.synthesis import Prior, Transformer


@state_year_asset("models", "numpy", code_version="1", reads=["margins"])
def transformer(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    survey: pl.DataFrame,
    national_prior: Prior,
) -> dg.MaterializeResult[Transformer]:
    """What the models see instead of raw columns: codes of conditions, a margin of each amount by sign.

    Margins are the distributions of single amounts; the zero model and the flow add what binds them.
    An amount that at least `atom_holders` respondents share is a point mass and may come back; every
    other amount is only seen through a density, so that no respondent's own figure is reproduced.
    Margins are shrunk towards the nation's: n records of the state count against
    `prior_records` of the nation.
    """
    records, weights = training_records(survey, data.survey_schema)
    fitted = Transformer.fit(
        records,
        data.survey_schema.model_columns,
        data.survey_schema.condition_columns,
        weights,
        data.survey_schema.discrete_targets,
        prior=national_prior.transformer,
        **parameters.margins.model_dump(),
    )
    return dg.MaterializeResult(
        value=fitted,
        metadata={
            "records": records.height,
            "parameters": parameters.margins.model_dump(),
            "variables": len(fitted.transformers_),
            "condition_inputs": int(fitted.context(records.head(1)).shape[1]),
        },
    )
