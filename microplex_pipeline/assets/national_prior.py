"""Step 1: what the nation knows, for small states to lean on."""

import dagster as dg
import polars as pl
from pydantic import Field

from microplex_pipeline.assets.state_year import OWNERS, bad_input_fails
from microplex_pipeline.assets.training import TrainingConfig, synthesizer_of
from microplex_pipeline.evaluation.charts import loss_chart, markdown_picture
from microplex_pipeline.partitions import YEAR_EXPRESSION, years
from microplex_pipeline.resources import DataFolder
from microplex_pipeline.survey import model_frame
from microplex_pipeline.synthesis import Prior


class NationalPriorConfig(TrainingConfig):
    """Training of the nation's models."""

    epochs: int = Field(20, description="passes over the records, at the most")
    batch_size: int = Field(1024, description="records a step")


@dg.asset(
    partitions_def=years,
    group_name="models",
    kinds={"duckdb", "pytorch"},
    owners=OWNERS,
    metadata={"partition_expr": YEAR_EXPRESSION, "schema": "models"},
    pool="training",
)
def national_prior(
    context: dg.AssetExecutionContext,
    config: NationalPriorConfig,
    data: DataFolder,
    national_survey: pl.DataFrame,
) -> dg.MaterializeResult[Prior]:
    """Transformer, zero model and flow of the nation in one year, the prior of every state's.

    A state has some thousand respondents, the nation a hundred thousand. States shrink their margins
    towards the nation's and fine-tune its networks instead of starting from nothing.
    """
    schema = data.survey_schema
    with bad_input_fails():
        survey = national_survey.filter(~pl.col("held_out"))
        synthesizer = synthesizer_of(schema, config).fit(
            model_frame(survey, schema), schema.weight, progress=context.log.info
        )
    history = pl.DataFrame(synthesizer.training_history_)
    return dg.MaterializeResult(
        value=Prior(synthesizer.transformer_, synthesizer.zero_model_, synthesizer.flow_model_),
        metadata={
            "records": survey.height,
            "loss": dg.MetadataValue.md(markdown_picture("loss", loss_chart(history))),
        },
    )
