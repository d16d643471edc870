"""Targets: population totals that weights must meet, as a long table."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.precision import (
    PRECISION,
    Precision,
    precision_faults,
    precision_of,
)
from microplex_pipeline.data_files import read_table, write_whole
from microplex_pipeline.frames import to_polars

KEY = ["entity", "measure", "variable", "domain"]
KINDS = ("published", "share", "pooled", "modelled")
MEASURES = ("count", "sum", "mean", "ratio")
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
    "standard_error": "of the figure, if it is penalized by it",
    "tolerance": "share of the value within which it is met; null, like standard_error, if exactly",
    "target": "name of the target",
    "achieved": "total under the calibrated weights",
    "relative_error": "(achieved - value) / max(|value|, 1)",
    "z": "(achieved - value) / standard_error; null if the target is not penalized",
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
        standard_error, in units of the value, or relative_standard_error, a share of it : the target is
            *penalized*: it gives way to others, by a penalty for its miss in standard errors;
        importance : what the penalty is multiplied by, one if not given;
        tolerance, a share of the value, or at_least and at_most, one or both : the target is met *within*
            these limits, which are never exceeded;

        and any others (source, kind, ...), which are kept.

    Attributes
    ----------
    table : polars frame of these columns and `target`, the name of each row.

    Raises
    ------
    CalibrationError
        If a column is missing or has the wrong type, a value is missing, NaN, infinite, or a negative
        count, a measure is unknown, a standard error or tolerance is negative or infinite, a value lies
        outside its limits, a row has both a standard error and limits, or two rows have the same target.
        All faults are named at once; `faults` returns them.

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
        if faults := self.faults(frame):
            raise CalibrationError(
                faults[0]
                if len(faults) == 1
                else f"the targets have {len(faults)} faults:\n"
                + "\n".join(f"- {f}" for f in faults)
            )
        self.table = self._named(frame)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a table that `write` wrote, or one of the same columns: .csv, .csv.gz or .parquet.

        Raises
        ------
        DataFileError
            If the file cannot be read, or a number is none.
        CalibrationError
            If the targets have faults.
        """
        path = Path(path)
        columns = dict.fromkeys(cls.key, pl.String) | {"value": pl.Float64}
        table = read_table(path, columns)
        precise = [c for c in PRECISION if c in table.columns]
        if precise:
            table = read_table(path, columns | dict.fromkeys(precise, pl.Float64))
        return cls(table)

    def write(self, path: str | Path) -> None:
        """Write the table, without the names, to a file: .csv, .csv.gz or .parquet.

        Raises
        ------
        ValueError
            For another kind of file.
        """
        path, table = Path(path), self.table.drop("target")
        if path.suffix == ".parquet":
            write_whole(path, table.write_parquet)
        elif path.name.endswith((".csv", ".csv.gz")):
            text = table.write_csv().encode()
            packed = gzip.compress(text, mtime=0) if path.suffix == ".gz" else text
            write_whole(path, lambda file: file.write_bytes(packed))
        else:
            raise ValueError(f"targets are written to .csv, .csv.gz or .parquet, not {path.name}")

    @classmethod
    def faults(cls, table: Any) -> list[str]:
        """Return all that is wrong with a table of targets, one sentence each; none if it can be used.

        Parameters
        ----------
        table : polars, pandas or pyarrow frame, see the class.
        """
        frame = to_polars(table)
        faults = []
        if missing := [c for c in [*cls.key, "value"] if c not in frame.columns]:
            faults.append(f"the targets lack columns: {', '.join(missing)}")
        if not frame.height:
            faults.append("there are no targets: the table is empty")
        texts = [c for c in cls.key if c in frame.columns]
        faults += [
            f"column {c!r} of the targets must be text, without missing values"
            for c in texts
            if frame[c].dtype != pl.String or frame[c].null_count()
        ]
        if "geography" in frame.columns and frame["geography"].dtype not in (pl.String, pl.Null):
            faults.append("column 'geography' of the targets must be text")
        faults += [
            f"column {c!r} of the targets must be numbers"
            for c in ("value", *PRECISION)
            if c in frame.columns
            and not (frame[c].dtype.is_numeric() or (c != "value" and frame[c].dtype == pl.Null))
        ]
        return faults or _faults_of_rows(cls._named(frame))

    @classmethod
    def _named(cls, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the table with the name of each target."""
        name = pl.format(cls.label, *[pl.col(c) for c in cls.key])
        if "geography" in frame.columns:
            frame = frame.with_columns(pl.col("geography").cast(pl.String).fill_null("all"))
            inside = pl.col("geography") != "all"
            name = name + pl.when(inside).then(pl.format(" in {}", "geography")).otherwise(
                pl.lit("")
            )
        numbers = [c for c in ("value", *PRECISION) if c in frame.columns]
        return frame.with_columns(
            *[pl.col(c).cast(pl.Float64, strict=False) for c in numbers], name.alias("target")
        )

    def precision(self) -> Precision:
        """Return how precisely each target is met if targets are soft, in their units."""
        return precision_of(self.table)

    @property
    def any_soft(self) -> bool:
        """Whether a target is penalized, or met within limits, if targets are soft."""
        precision = self.precision()
        return bool((precision.penalized | precision.within).any())

    @property
    def names(self) -> list[str]:
        """One readable name per target."""
        return self.table["target"].to_list()


def _faults_of_rows(table: pl.DataFrame) -> list[str]:
    value, target = pl.col("value"), pl.col("target")
    faults = {
        "are not finite numbers": value.is_null() | ~value.is_finite(),
        "are negative counts": (pl.col("measure") == "count") & (value < 0),
        f"have a measure other than {' or '.join(MEASURES)}": ~pl.col("measure").is_in(MEASURES),
        "are more than once in the table": target.is_duplicated(),
        "are ratios of a variable that is not written a/b": (pl.col("measure") == "ratio")
        & (pl.col("variable").str.count_matches("/") != 1),
    }
    faults |= precision_faults(table)
    bad = {
        fault: table.filter(rows)["target"].unique(maintain_order=True).to_list()
        for fault, rows in faults.items()
    }
    return [f"targets that {fault}: {listed(names)}" for fault, names in bad.items() if names]


NAME = re.compile(r"(\S+) (\S+) (.+) \[(.+)\]")  # the form of Targets.label


def key_of_name(name: str) -> tuple[str, str, str, str] | None:
    """Return entity, measure, variable and domain from a target's name, or None for other text."""
    match = NAME.fullmatch(name)
    return (match[1], match[2], match[3], match[4]) if match else None


def listed(names: list[str], limit: int = 8) -> str:
    """Return the first `limit` names joined by commas, and the number of the others."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f", and {rest} more" if rest > 0 else "")
