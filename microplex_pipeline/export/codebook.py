"""What the columns of each table mean, and what the codes in them stand for."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from microplex_pipeline.calibration.targets.published import COUNTY_COLUMNS
from microplex_pipeline.calibration.targets.table import TARGET_COLUMNS
from microplex_pipeline.evaluation.area_errors import AREA_COLUMNS
from microplex_pipeline.evaluation.disclosure import DISCLOSURE_COLUMNS
from microplex_pipeline.evaluation.fidelity import FIDELITY_COLUMNS
from microplex_pipeline.survey import SurveySchema, column_descriptions
from microplex_pipeline.survey.columns import HELD_OUT, SYNTHETIC_KEYS

# beside what the survey's dictionary says of columns of the same name
OWN_COLUMNS = {
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


def descriptions_of(table: str, schema: SurveySchema, data: Path) -> dict[str, str]:
    """Return what columns of a table mean, in a sentence with the unit."""
    return column_descriptions(schema, data) | OWN_COLUMNS.get(table, {})


def codebook(
    columns: pl.Schema, descriptions: dict[str, str], labels: dict[str, dict[int, str]]
) -> pl.DataFrame:
    """Return one row per column: name, type, description with the codes' meanings."""
    rows = []
    for name, dtype in columns.items():
        codes = "; ".join(f"{code} = {label}" for code, label in labels.get(name, {}).items())
        said = ": ".join(part for part in (descriptions.get(name), codes) if part)
        rows.append({"name": name, "type": str(dtype), "description": said or None})
    return pl.DataFrame(
        rows, schema={"name": pl.String, "type": pl.String, "description": pl.String}
    )
