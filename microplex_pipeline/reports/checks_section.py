"""The section on checks: each with its result and what it says, those that did not pass first."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from microplex_pipeline.evaluation.judgements import Judgement
from microplex_pipeline.reports.tables import Column, Table, table

RESULTS = {"error": "failed", "warning": "warning"}


def checks_table(judgements: Sequence[Judgement]) -> Table:
    """Return the checks; failures and warnings are marked."""
    rows = pl.DataFrame(
        {
            "check": [j.check for j in judgements],
            "result": ["passed" if j.passed else RESULTS[j.severity] for j in judgements],
            "message": [j.message for j in judgements],
        },
        schema={"check": pl.String, "result": pl.String, "message": pl.String},
    )
    order = pl.col("result").replace_strict({"failed": 0, "warning": 1, "passed": 2})
    columns = [Column("check", "Check"), Column("result", "Result"), Column("message", "Finding")]
    return table(
        "Checks",
        rows.sort(order, maintain_order=True),
        columns,
        pl.col("result") == "failed",
        pl.col("result") == "warning",
    )
