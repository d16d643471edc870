"""The national survey of a year: a random sample of the households of all states."""

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
    """Return whole households of all states, in random order: n canonical records, or just under n.

    Raises
    ------
    SurveyError
        As in `read_states` and `prepare_survey`, for the first state at fault.
    """
    records = pl.concat(
        prepare_survey(of_state, schema, folder)
        for of_state in read_states(schema, folder, states, year)
    )
    household = schema.household
    sizes = records.group_by(household, maintain_order=True).len()
    drawn = sizes.sample(fraction=1.0, seed=seed, shuffle=True).filter(
        pl.col("len").cum_sum() <= n
    )
    return (
        drawn.select(household)
        .join(records, on=household, maintain_order="left_right")
        .select(records.columns)
    )
