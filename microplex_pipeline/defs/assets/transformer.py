"""The fitted transforms of the variables."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import state_year_asset
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.training import training_records
from microplex_pipeline.synthesis import Prior, Transformer


@state_year_asset("models", "numpy", code_version="5", reads=["margins"])
def transformer(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    survey: pl.DataFrame,
    national_prior: Prior,
) -> dg.MaterializeResult[Transformer]:
    """One row: the transforms that the models use: encodings of conditions, margins of amounts by sign.

    Margins are the distributions of single amounts; the zero model and the flow add their dependence. An
    amount that at least `atom_holders` respondents share is a point mass and may be reproduced; all other
    amounts enter only through a density, so that no single respondent's figure is reproduced. Margins are
    shrunk towards the national ones: with n records of the state, its own ranks have the weight
    n / (n + `prior_records`), and fine structure, such as the shares of round amounts, is the state's own as
    far as it makes records likely that were left out.
    """
    records, weights = training_records(survey, data.survey_schema)
    fitted = Transformer.fit(
        records,
        data.survey_schema.model_columns,
        data.survey_schema.unit_conditions,
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
