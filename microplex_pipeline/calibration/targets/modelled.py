"""Targets modelled on a survey: its own totals of cells with enough records, with standard errors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import polars as pl

from microplex_pipeline.calibration.targets.constraint_rows import table_rows
from microplex_pipeline.calibration.targets.linearization import standard_errors
from microplex_pipeline.calibration.targets.sources import HOUSEHOLD, ModelledTotals
from microplex_pipeline.calibration.targets.table import KEY, Targets

LEAST_ERROR = 1e-4  # share of a total; a total that published figures determine has none otherwise


def modelled_targets(
    survey: pl.DataFrame,
    totals: ModelledTotals,
    source: str,
    *,
    weight: str,
    household_id: str,
    met: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return a survey's weighted counts and sums as targets.

    Cells with fewer than `totals.min_records` records are left out, since their totals depend more on
    the sample than on the population.

    Parameters
    ----------
    survey : one row per record, with derived columns; all records of a household have one weight.
    totals : the counts and sums to take.
    source : name of the survey, for the column source.
    weight, household_id : columns of the weights and of household numbers.
    met : published targets that the weights meet, which reduce the standard errors.

    Returns
    -------
    Columns entity, measure, variable, domain, value, kind, source, note, standard_error and tolerance (null).
    """
    asked = pl.DataFrame(list(_keys(totals)), schema=KEY, orient="row")
    targets = Targets(asked.with_columns(value=0.0))
    firsts = {HOUSEHOLD: survey[household_id].is_first_distinct().to_numpy()}
    entries, _ = table_rows(survey, targets, firsts)
    weights = survey[weight].cast(pl.Float64).to_numpy()
    values = [float(weights[records] @ part) for records, part in entries]
    carriers = [int(np.count_nonzero(part)) for _, part in entries]
    enough = pl.Series(carriers, dtype=pl.Int64) >= totals.min_records
    kept = targets.table.with_columns(value=pl.Series(values, dtype=pl.Float64)).filter(enough)
    errors = standard_errors(survey, kept, met, weight=weight, household_id=household_id)
    notes = [f"{n:,} survey records" for n, keep in zip(carriers, enough, strict=True) if keep]
    return kept.select(
        *KEY,
        "value",
        pl.lit("modelled").alias("kind"),
        pl.lit(source).alias("source"),
        pl.Series("note", notes, pl.String),
        pl.max_horizontal(
            pl.Series("standard_error", errors), pl.col("value").abs() * LEAST_ERROR
        ).alias("standard_error"),
        pl.lit(None, pl.Float64).alias("tolerance"),
    )


def _keys(totals: ModelledTotals) -> Iterator[tuple[str, str, str, str]]:
    """Yield entity, measure, variable and domain of each total."""
    for count in totals.counts:
        for a, b in product(count.domains, count.crossed_with or [""]):
            yield count.entity, "count", count.variable, f"{a}|{b}" if b else a
    for item in totals.sums:
        for domain in item.domains:
            yield item.entity, "sum", item.variable, domain
