"""Step 4: which amounts are zero, negative, positive."""

import dagster as dg
import polars as pl

from microplex_pipeline.assets.state_year import state_year_asset
from microplex_pipeline.assets.training import training_records
from microplex_pipeline.evaluation.charts import loss_chart, markdown_picture
from microplex_pipeline.parameters import Parameters
from microplex_pipeline.resources import DataFolder
from microplex_pipeline.synthesis import Prior, Transformer, ZeroModel


@state_year_asset("models", "pytorch", pool="training")
def zero_model(
    context: dg.AssetExecutionContext,
    data: DataFolder,
    parameters: dg.ResourceParam[Parameters],
    survey: pl.DataFrame,
    transformer: Transformer,
    national_prior: Prior,
) -> dg.MaterializeResult[ZeroModel]:
    """Who has which amounts: a model of which are zero, negative or positive, all of them jointly.

    A masked autoregressive network over all amounts given the unit's demography, so that who has
    both interest and dividends comes out right, not just each share by itself. The loss curve shows
    what it gained on records left out.
    """
    records, weights = training_records(survey, data.survey_schema)
    fitted = ZeroModel.fit(
        records,
        transformer,
        weights,
        parameters.fine_tuning,
        parameters.seed,
        prior=national_prior.zero_model,
        progress=context.log.info,
    )
    history = pl.DataFrame(fitted.history)
    return dg.MaterializeResult(
        value=fitted,
        metadata={
            "records": records.height,
            "seed": parameters.seed,
            "parameters": parameters.fine_tuning.model_dump(),
            "epochs": int(history["epoch"].max()),  # type: ignore[arg-type]
            "held_out_loss": float(history["validation_loss"].min()),  # type: ignore[arg-type]
            "loss_curve": dg.MetadataValue.md(markdown_picture("loss", loss_chart(history))),
        },
    )
