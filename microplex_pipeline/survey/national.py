"""The nation's survey of a year: the canonical records of all states, or a sample of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from microplex_pipeline.survey.preparation import prepare_survey
from microplex_pipeline.survey.reader import read_survey
from microplex_pipeline.survey.schema import SurveySchema


def national_survey(
    schema: SurveySchema, folder: str | Path, states: Sequence[str], year: int, n: int, seed: int
) -> pl.DataFrame:
    """Return the canonical survey of all states, or n of its records drawn at random.

    Raises
    ------
    SurveyError
        As `read_survey`, for the first state at fault.
    """
    records = pl.concat(
        prepare_survey(read_survey(schema, folder, state, year), schema, folder)
        for state in states
    )
    return records if records.height <= n else records.sample(n, seed=seed)
