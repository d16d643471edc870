"""Shared by the assets of models: metadata on their training."""

from typing import Any

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.pictures import loss_chart, markdown_picture
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.synthesis import Flow, Prior, Synthesizer, ZeroModel


def training_metadata(
    fitted: ZeroModel | Flow, records: pl.DataFrame, parameters: Parameters
) -> dict[str, Any]:
    """Return metadata on what a state's model was trained on, and how its training went."""
    history = pl.DataFrame(fitted.history)
    return {
        "records": records.height,
        "seed": parameters.seed,
        "parameters": parameters.fine_tuning.model_dump(),
        "epochs": int(history["epoch"].max()),  # type: ignore[arg-type]
        "loss_curve": dg.MetadataValue.md(markdown_picture("loss", loss_chart(history))),
    }


def national_models(
    synthesizer: Synthesizer, records: pl.DataFrame, parameters: Parameters
) -> dg.MaterializeResult[Prior]:
    """Return the models of a synthesizer that was fitted to the nation's records, with metadata."""
    history = pl.DataFrame(synthesizer.training_details_)
    return dg.MaterializeResult(
        value=Prior(synthesizer.transformer_, synthesizer.zero_model_, synthesizer.flow_model_),
        metadata={
            "records": records.height,
            "seed": parameters.seed,
            "parameters": parameters.prior.model_dump(),
            "loss_curve": dg.MetadataValue.md(markdown_picture("loss", loss_chart(history))),
        },
    )
