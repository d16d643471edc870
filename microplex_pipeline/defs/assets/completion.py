"""The state's model of the columns that are drawn after the amounts."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import state_year_asset
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.training import completion_synthesizer, later_frame
from microplex_pipeline.synthesis import Prior, Synthesizer


@state_year_asset(
    "models", "pytorch", code_version="9", reads=["seed", "completion"], pool="training"
)
def completion(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    survey: pl.DataFrame,
    national_completion: Prior,
) -> dg.MaterializeResult[Prior]:
    """One row: the model of deductions and benefits in kind, which complete the state's records.

    Margins are shrunk towards the nation's, networks fine-tuned, and shares of holders met, as for the
    amounts. All of these columns were imputed by the source, so the nation's model, which knows the state,
    is nearly right already: few passes do.
    """
    schema = data.survey_schema
    settings = parameters.completion
    synthesizer = completion_synthesizer(schema, seed=parameters.seed).fit(
        later_frame(survey, schema),
        schema.weight,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        prior=Synthesizer.from_parts(
            national_completion.transformer,
            national_completion.zero_model,
            national_completion.flow,
        ),
    )
    return dg.MaterializeResult(
        value=Prior(synthesizer.transformer_, synthesizer.zero_model_, synthesizer.flow_model_),
        metadata={
            "records": survey.height,
            "seed": parameters.seed,
            "parameters": settings.model_dump(),
            "epochs": synthesizer.training_details_["epoch"].to_list()[-1],
        },
    )
