"""Records as Tax-Calculator reads them: its names, and the weight as a number of units."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl


class NotForTaxCalculator(ValueError):
    """Records without the columns that Tax-Calculator's files have."""


def for_tax_calculator(records: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Return records under Tax-Calculator's names.

    Parameters
    ----------
    records : tax units with every column of the source.
    names : the records' columns by Tax-Calculator's names.

    Raises
    ------
    NotForTaxCalculator
        If columns are missing; the message names them.
    """
    if missing := sorted({c for c in names.values() if c not in records.columns}):
        raise NotForTaxCalculator(
            f"columns that Tax-Calculator's files have are missing: {', '.join(missing)}. Export "
            "calibration.calibrated_population, or build it again if it is of an earlier version"
        )
    return records.select(pl.col(column).alias(name) for name, column in names.items())
