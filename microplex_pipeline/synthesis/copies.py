"""Copies of given records are drawn again.

Records of similar people coincide by chance, e.g. those of young singles with a round wage and the usual
amount of a benefit. Such a coincidence cannot be told from a disclosure, so it can be excluded,
similarly to the removal of replicated uniques (Nowok, Raab & Dibben 2016, Journal of Statistical
Software 74(11)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.input_checks import require_columns

MIN_AMOUNTS = 2  # many people with fewer non-zero amounts have equal records
ROUNDS = 50  # attempts before giving up
ROW = "\0row"  # a name that no caller's column has


def without_copies(
    drawn: pl.DataFrame,
    records: pl.DataFrame,
    compared: Sequence[str],
    targets: Sequence[str],
    amounts: Sequence[str],
    draw_again: Callable[[pl.DataFrame, int], Sequence[pl.Series]],
    seed: int | None,
) -> pl.DataFrame:
    """Return the drawn records after redrawing those that equal one of `records`.

    Parameters
    ----------
    drawn : conditions and targets; other columns are kept.
    records : the columns compared; only records with at least two non-zero amounts count.
    compared : names of columns; a copy is equal in all of them.
    targets : names of the columns that are drawn again.
    amounts : the columns compared that are amounts.
    draw_again : returns the targets for drawn records and a seed.
    seed : decides the new draws.

    Raises
    ------
    ValueError
        If `records` lacks a column or an amount in it is not numeric, or if some conditions allow
        nothing but copies.
    """
    whole = list(dict.fromkeys(compared))
    require_columns(records, whole)
    for name in amounts:
        if not records.schema[name].is_numeric():
            raise ValueError(
                f"no_copies_of: {name} has type {records.schema[name]}, but must be numeric"
            )
    some = pl.sum_horizontal(pl.col(a) != 0 for a in amounts) >= MIN_AMOUNTS
    fitting = {c: pl.col(c).cast(drawn.schema[c], strict=False) for c in whole}
    # a record with a value that the drawn columns cannot represent cannot be copied
    held = (
        x.cast(records.schema[c], strict=False).eq_missing(pl.col(c)) for c, x in fitting.items()
    )
    forbidden = records.filter(some, *held).select(*fitting.values()).unique()
    columns = list(dict.fromkeys([*whole, *targets]))
    suspects = drawn.select(columns).with_row_index(ROW)
    for again in np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(ROUNDS):
        rows = suspects.join(forbidden, on=whole, how="semi", nulls_equal=True)[ROW]
        if rows.is_empty():
            return drawn
        order = rows.sort()
        new = drawn[order].with_columns(draw_again(drawn[order], int(again)))
        suspects = new.select(pl.Series(ROW, order), *columns)
        drawn = (
            drawn.with_row_index(ROW)
            .update(suspects.select(ROW, *targets), on=ROW, include_nulls=True)
            .drop(ROW)
        )
    raise ValueError(
        f"{len(order)} records were copies in each of {ROUNDS} draws: their conditions allow no other "
        "amounts. Use less detailed conditions, or leave such records out of no_copies_of"
    )
