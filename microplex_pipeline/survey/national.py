"""The national survey of a year: a random sample of the canonical records of all states."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from microplex_pipeline.survey.preparation import prepare_survey
from microplex_pipeline.survey.reader import read_states
from microplex_pipeline.survey.schema import SurveySchema


def national_sample(
    schema: SurveySchema, folder: str | Path, states: Sequence[str], year: int, n: int, seed: int
) -> pl.DataFrame:
    """Return n canonical records of all states, or all if there are fewer, in random order.

    Raises
    ------
    SurveyError
        As in `read_states` and `prepare_survey`, for the first state at fault.
    """
    records = pl.concat(
        prepare_survey(of_state, schema, folder)
        for of_state in read_states(schema, folder, states, year)
    )
    return records.sample(min(n, records.height), seed=seed, shuffle=True)
