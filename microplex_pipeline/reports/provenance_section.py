"""The provenance section of a state's page: sources, input files, parameters, code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from microplex_pipeline.data_files import read_table
from microplex_pipeline.reports.tables import Column, Table, count, table

CITATIONS = {"source": pl.String, "table": pl.String, "office": pl.String, "package": pl.String}
UNKNOWN = "\u2013"
DIGITS = 16  # of a digest


@dataclass(frozen=True)
class Provenance:
    """What a state's page and everything before it were made from.

    Attributes
    ----------
    files : digests of the input files, or of the part of them that was used.
    parameters : sections of the parameters that were read.
    code : version of each asset's code.
    commit : of the package's code; None if it is not known.
    seeds : known random seeds, by step.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    seeds: Mapping[str, int] = field(default_factory=dict)


def source_table(targets: pl.DataFrame, counties: pl.DataFrame, citations: Path) -> Table:
    """Return the sources of the targets, with their tables and addresses as far as they are known.

    Parameters
    ----------
    citations : CSV file with the columns source, table, office and package.

    Raises
    ------
    DataFileError
        If the file of citations is missing or unusable.
    """
    of_state = targets.select(
        "kind", "source", pl.lit("state").alias("level"), pl.lit("").alias("of")
    )
    of_counties = counties.select(
        pl.lit("published").alias("kind"),
        "source",
        pl.lit("county").alias("level"),
        pl.format(" (figures of {})", "file_year").alias("of"),
    )
    keys = ["level", "kind", "source", "of"]
    rows = pl.concat([of_state, of_counties]).group_by(keys).len("targets")
    known = read_table(citations, CITATIONS).unique("source", keep="first")
    rows = rows.join(known.select(list(CITATIONS)), on="source", how="left").with_columns(
        pl.concat_str("source", "of").alias("cited"),
        # addresses are text: a page links to nothing outside itself
        *(
            pl.col(c).str.strip_prefix("https://").fill_null(UNKNOWN)
            for c in ("office", "package")
        ),
        pl.col("table").fill_null(UNKNOWN),
    )
    columns = [
        Column("level", "Level"),
        Column("kind", "Kind"),
        Column("cited", "Source"),
        Column("table", "Table"),
        Column("office", "Statistical office"),
        Column("package", "Package"),
        Column("targets", "Targets", count),
    ]
    order = ["level", "kind", "source"]
    return table(
        "Sources of the targets", rows.sort(order, descending=[True, True, False]), columns
    )


def file_table(provenance: Provenance) -> Table:
    """Return the input files with the first digits of their SHA-256 digests."""
    rows = pl.DataFrame(
        {
            "file": list(provenance.files),
            "digest": [digest[:DIGITS] for digest in provenance.files.values()],
        },
        schema={"file": pl.String, "digest": pl.String},
    )
    columns = [Column("file", "File"), Column("digest", "SHA-256, first digits")]
    return table("Input files, or the state's part of them", rows, columns)


def parameter_rows(provenance: Provenance) -> list[tuple[str, str]]:
    """Return the parameters with their values, sections as name.parameter."""
    rows = []
    for section, values in provenance.parameters.items():
        inside = values.items() if isinstance(values, dict) else [("", values)]
        rows += [(f"{section}.{name}" if name else section, json.dumps(v)) for name, v in inside]
    return rows
