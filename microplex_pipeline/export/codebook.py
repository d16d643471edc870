"""Codebooks: the meaning of each table's columns, and of the codes in them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from microplex_pipeline.evaluation.columns import (
    AREA_COLUMNS,
    DISCLOSURE_COLUMNS,
    FIDELITY_COLUMNS,
)
from microplex_pipeline.survey import SurveySchema, column_descriptions
from microplex_pipeline.survey.columns import HELD_OUT, SYNTHETIC_KEYS


def descriptions_of(table: str, schema: SurveySchema, data: Path) -> dict[str, str]:
    """Return the meaning of a table's columns, with units.

    Parameters
    ----------
    table : schema.table.
    data : data folder with the survey's column dictionary.

    Raises
    ------
    DataFileError
        If the dictionary is missing or cannot be read.
    """
    return column_descriptions(schema, data) | _own_columns().get(table, {})


def _own_columns() -> dict[str, dict[str, str]]:
    """Return the columns, by table, that differ from the survey's dictionary or are not in it."""
    # the calibration loads scipy: imported only when a codebook is written
    from microplex_pipeline.calibration.targets.published import COUNTY_COLUMNS
    from microplex_pipeline.calibration.targets.table import TARGET_COLUMNS

    return {
        "survey.national_survey": HELD_OUT,
        "synthesis.synthetic_population": SYNTHETIC_KEYS,
        "calibration.calibrated_population": SYNTHETIC_KEYS,
        "calibration.county_weights": COUNTY_COLUMNS,
        "calibration.targets": TARGET_COLUMNS,
        "evaluation.target_report": TARGET_COLUMNS,
        "evaluation.county_report": AREA_COLUMNS,
        "evaluation.fidelity_report": FIDELITY_COLUMNS,
        "evaluation.disclosure_report": DISCLOSURE_COLUMNS,
    }


def codebook(
    columns: pl.Schema, descriptions: dict[str, str], labels: dict[str, dict[int, str]]
) -> pl.DataFrame:
    """Return one row per column: name, type, and description with the meanings of codes.

    Parameters
    ----------
    columns : types by column.
    descriptions : meanings by column.
    labels : meanings of codes by column.
    """
    rows = []
    for name, dtype in columns.items():
        codes = "; ".join(f"{code} = {label}" for code, label in labels.get(name, {}).items())
        description = ": ".join(part for part in (descriptions.get(name), codes) if part)
        rows.append({"name": name, "type": str(dtype), "description": description or None})
    return pl.DataFrame(
        rows, schema={"name": pl.String, "type": pl.String, "description": pl.String}
    )
