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
ROW = "\0row"  # no column of a caller's


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
    for name in amounts:
        if not records.schema[name].is_numeric():
            raise ValueError(
                f"no_copies_of: {name} is {records.schema[name]}, and should be numbers"
            )
    some = pl.sum_horizontal(pl.col(a) != 0 for a in amounts) >= MIN_AMOUNTS
    fitting = {c: pl.col(c).cast(drawn.schema[c], strict=False) for c in whole}
    # a value that the drawn columns cannot hold copies nothing
    held = (
        x.cast(records.schema[c], strict=False).eq_missing(pl.col(c)) for c, x in fitting.items()
    )
    forbidden = records.filter(some, *held).select(*fitting.values()).unique()
    suspects = drawn.select(whole).with_row_index(ROW)
    for again in np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(ROUNDS):
        rows = suspects.join(forbidden, on=whole, how="semi", nulls_equal=True)[ROW]
        if rows.is_empty():
            return drawn
        order = rows.sort()
        new = drawn[order].with_columns(draw_again(drawn[order], int(again)))
        suspects = new.select(pl.Series(ROW, order), *whole)
        drawn = (
            drawn.with_row_index(ROW)
            .update(suspects.select(ROW, *targets), on=ROW, include_nulls=True)
            .drop(ROW)
        )
    raise ValueError(
        f"{len(order)} records came out as copies {ROUNDS} times: their conditions leave no other "
        "amounts. Give conditions that say less, or leave such records out of no_copies_of"
    )
