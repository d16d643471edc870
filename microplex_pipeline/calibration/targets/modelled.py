"""Targets modelled on a survey: its own weighted totals of cells with enough records."""

from __future__ import annotations

from itertools import product

import polars as pl

from microplex_pipeline.calibration.targets.domains import domain_expression
from microplex_pipeline.calibration.targets.sources import ModelledTotals


def modelled_targets(
    survey: pl.DataFrame, totals: ModelledTotals, weight: str, source: str
) -> pl.DataFrame:
    """Return a survey's weighted counts and sums as targets.

    Cells with fewer than `totals.min_records` records are left out, since their totals depend more on
    the sample than on the population.

    Parameters
    ----------
    survey : one row per record.
    totals : the counts and sums to take.
    weight : column of the weights.
    source : name of the survey, for the column source.

    Returns
    -------
    Columns entity, measure, variable, domain, value, kind, source, note.
    """
    rows = []
    for count in totals.counts:
        crossed = count.crossed_with or [""]
        for a, b in product(count.domains, crossed):
            domain = f"{a}|{b}" if b else a
            inside = survey.filter(domain_expression(domain, survey.schema))
            rows.append((count.entity, "count", count.variable, domain,
                         inside[weight].sum(), inside.height))  # fmt: skip
    for item in totals.sums:
        carriers = survey.filter(pl.col(item.variable) != 0)
        total = (carriers[weight] * carriers[item.variable]).sum()
        rows.append((item.entity, "sum", item.variable, "all", total, carriers.height))
    schema = {"entity": pl.String, "measure": pl.String, "variable": pl.String,
              "domain": pl.String, "value": pl.Float64, "records": pl.Int64}  # fmt: skip
    return (
        pl.DataFrame(rows, schema=schema, orient="row")
        .filter(pl.col("records") >= totals.min_records)
        .select(
            "entity", "measure", "variable", "domain", "value",
            pl.lit("modelled").alias("kind"),
            pl.lit(source).alias("source"),
            pl.col("records")
            .map_elements(lambda n: f"{n:,} survey records", return_dtype=pl.String)
            .alias("note"),
        )
    )  # fmt: skip
