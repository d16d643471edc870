"""Drawing again what came out as a copy of a given record.

Records of people who are much alike coincide by chance: a young single with a round wage and a benefit's
usual amount. Nobody can tell such a coincidence from a disclosure, so it may be ruled out (in the manner
of removing replicated uniques: Nowok, Raab & Dibben 2016, Journal of Statistical Software 74(11)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.input_checks import require_columns

MIN_AMOUNTS = 2  # people with fewer are alike in great numbers
ROUNDS = 50


def without_copies(
    drawn: pl.DataFrame,
    records: pl.DataFrame,
    conditions: Sequence[str],
    targets: Sequence[str],
    amounts: Sequence[str],
    draw_again: Callable[[pl.DataFrame, int], Sequence[pl.Series]],
    seed: int | None,
) -> pl.DataFrame:
    """Return the drawn records with those drawn again that equal one of `records` in every column.

    Parameters
    ----------
    drawn : conditions and targets, and maybe other columns.
    records : conditions and targets; only those with two non-zero amounts or more count.
    amounts : the targets that are amounts.
    draw_again : returns targets for conditions and a seed.

    Raises
    ------
    ValueError
        If `records` lacks a column, or some conditions leave nothing to draw but copies.
    """
    whole = [*conditions, *targets]
    require_columns(records, whole)
    some = pl.sum_horizontal(pl.col(a) != 0 for a in amounts) >= MIN_AMOUNTS
    forbidden = (
        records.filter(some).select(pl.col(c).cast(drawn.schema[c]) for c in whole).unique()
    )
    suspects = drawn.select(whole).with_row_index("row")
    for again in np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(ROUNDS):
        rows = suspects.join(forbidden, on=whole, how="semi", nulls_equal=True)["row"]
        if rows.is_empty():
            return drawn
        order = rows.sort()
        new = drawn[order].with_columns(draw_again(drawn[order], int(again)))
        suspects = new.select(pl.Series("row", order), *whole)
        drawn = (
            drawn.with_row_index("row")
            .update(suspects.select("row", *targets), on="row", include_nulls=True)
            .drop("row")
        )
    raise ValueError(
        f"{len(order)} records came out as copies {ROUNDS} times: their conditions leave no other "
        "amounts. Give conditions that say less, or leave such records out of no_copies_of"
    )
