"""Targets: population totals that weights must meet, as a long table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.frames import to_polars

KEY = ["entity", "measure", "variable", "domain"]
KINDS = ("published", "share", "pooled", "modelled")
MEASURES = ("count", "sum", "mean", "ratio")
PRECISION = ("standard_error", "tolerance")
TARGET_COLUMNS = {
    "entity": "what is counted: household, tax_unit or person",
    "measure": "count of the entity, or sum of the variable",
    "variable": "column that is summed, or what is counted",
    "domain": "records that the target covers",
    "value": "total to meet (dollars for sums of amounts, else a count)",
    "kind": "published by an office; share, published, of a count that is the survey's own; pooled over "
    "the survey's years; or modelled on the year's survey",
    "source": "source of the figure",
    "note": "how the figure was scaled, what it replaces, or how many survey records it is based on",
    "standard_error": "of the figure, if it is met within it; null if it is met exactly",
    "target": "name of the target",
    "achieved": "total under the calibrated weights",
    "relative_error": "(achieved - value) / max(|value|, 1)",
    "z": "(achieved - value) / standard_error; null if the target must be met exactly",
    "pull": "standard deviation of the target's part of log(weight / design weight): its effect",
    "against": "target that pulls weights most in the opposite direction",
}


class Targets:
    """A checked long table of targets.

    Parameters
    ----------
    table : polars, pandas or pyarrow frame with the columns

        entity : "household" or another entity that the records number, each counted once by its first
            record; "person" if the records have a list column `ages` with the age of each of their persons,
            which domains call `age`; or a name for the records themselves;
        measure : "count"; "sum" or "mean" of `variable`; "ratio" of the sums of two columns;
        variable : the column that is summed, "a/b" for the ratio of the sums of columns a and b (for a
            count just the name of what is counted);
        domain : the records, see `calibration.targets.domains`;
        value : the total, mean or ratio to meet;

        optionally

        geography : a second domain, combined with the first, for tables by area;
        standard_error : of the value, in its units, for soft calibration; or
        tolerance : the same as a share of the value;

        and any others (source, kind, ...), which are kept.

    Attributes
    ----------
    table : polars frame of these columns and `target`, the name of each row.

    Raises
    ------
    CalibrationError
        If a column is missing or has the wrong type, a value is missing, NaN, infinite, or a negative
        count, a measure is unknown, a standard error or tolerance is negative or infinite, or two rows
        have the same target.

    Examples
    --------
    >>> import polars as pl
    >>> from microplex_pipeline import Targets
    >>> targets = Targets(
    ...     pl.DataFrame(
    ...         {
    ...             "entity": ["household", "person"],
    ...             "measure": ["count", "sum"],
    ...             "variable": ["households", "wages"],
    ...             "domain": ["all", "age:18-64"],
    ...             "value": [410_000.0, 2.1e10],
    ...         }
    ...     )
    ... )
    >>> targets.names
    ['household count households [all]', 'person sum wages [age:18-64]']
    """

    key: Sequence[str] = KEY
    label = "{} {} {} [{}]"

    def __init__(self, table: Any) -> None:
        frame = to_polars(table)
        if missing := [c for c in [*self.key, "value"] if c not in frame.columns]:
            raise CalibrationError(f"the targets lack columns: {', '.join(missing)}")
        if not frame.height:
            raise CalibrationError("there are no targets: the table is empty")
        if "geography" in frame.columns:
            if frame["geography"].dtype not in (pl.String, pl.Null):
                raise CalibrationError("column 'geography' of the targets must be text")
            frame = frame.with_columns(pl.col("geography").fill_null("all"))
        for column in self.key:
            if frame[column].dtype != pl.String or frame[column].null_count():
                raise CalibrationError(
                    f"column {column!r} of the targets must be text, without missing values"
                )
        if not frame["value"].dtype.is_numeric():
            raise CalibrationError("column 'value' of the targets must be numbers")
        name = pl.format(self.label, *[pl.col(c) for c in self.key])
        if "geography" in frame.columns:
            inside = pl.col("geography") != "all"
            name = name + pl.when(inside).then(pl.format(" in {}", "geography")).otherwise(
                pl.lit("")
            )
        self.table = frame.with_columns(pl.col("value").cast(pl.Float64), name.alias("target"))
        self._check()

    def _check(self) -> None:
        value, target = pl.col("value"), pl.col("target")
        faults = {
            "are not finite numbers": value.is_null() | ~value.is_finite(),
            "are negative counts": (pl.col("measure") == "count") & (value < 0),
            f"have a measure other than {' or '.join(MEASURES)}": ~pl.col("measure").is_in(
                MEASURES
            ),
            "are more than once in the table": target.is_duplicated(),
            "are ratios of a variable that is not written a/b": (pl.col("measure") == "ratio")
            & (pl.col("variable").str.count_matches("/") != 1),
        }
        for column in set(PRECISION) & set(self.table.columns):
            known = pl.col(column).cast(pl.Float64)
            faults[f"have a negative or infinite {column}"] = known.is_not_null() & ~(
                known.is_finite() & (known >= 0)
            )
        for fault, rows in faults.items():
            bad = self.table.filter(rows)["target"].unique(maintain_order=True).to_list()
            if bad:
                raise CalibrationError(f"targets that {fault}: {listed(bad)}")

    def standard_deviations(self) -> np.ndarray:
        """Return how far each target may be off, in its units, (m,); zero if it must be exact.

        This is the standard error, or else the tolerance times |value|.
        """
        size = pl.col("value").abs()
        known = [
            pl.col(c).cast(pl.Float64) * (size if c == "tolerance" else 1.0)
            for c in PRECISION
            if c in self.table.columns
        ]
        deviations = pl.coalesce(*known, pl.lit(0.0)) if known else pl.lit(0.0)
        return self.table.select(size * 0 + deviations)["value"].to_numpy()

    @property
    def any_soft(self) -> bool:
        """Whether a target may be off, because it has a standard error or tolerance."""
        return bool((self.standard_deviations() > 0).any())

    @property
    def names(self) -> list[str]:
        """One readable name per target."""
        return self.table["target"].to_list()


NAME = re.compile(r"(\S+) (\S+) (.+) \[(.+)\]")  # the form of Targets.label


def key_of_name(name: str) -> tuple[str, str, str, str] | None:
    """Return entity, measure, variable and domain from a target's name, or None for other text."""
    match = NAME.fullmatch(name)
    return (match[1], match[2], match[3], match[4]) if match else None


def listed(names: list[str], limit: int = 8) -> str:
    """Return the first `limit` names joined by commas, and the number of the others."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f", and {rest} more" if rest > 0 else "")
