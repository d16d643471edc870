"""Codebooks: every column of every table is described."""

import subprocess
import sys

import polars as pl

from microplex_pipeline.export.codebook import codebook, descriptions_of


def test_own_columns_take_precedence_over_the_surveys(schema, data):
    population = descriptions_of("calibration.calibrated_population", schema, data)
    assert population["tax_unit_id"].startswith("synthetic unit")
    assert population["wages"].endswith("(dollars)")
    assert (
        descriptions_of("survey.survey", schema, data)["tax_unit_id"] != population["tax_unit_id"]
    )


def test_codes_follow_the_description():
    columns = pl.Schema({"status": pl.UInt8, "kind": pl.UInt8, "other": pl.String})
    labels = {"status": {1: "single", 2: "joint"}, "kind": {0: "none"}}
    book = codebook(columns, {"status": "filing status"}, labels)
    assert book.rows() == [
        ("status", "UInt8", "filing status: 1 = single; 2 = joint"),
        ("kind", "UInt8", "0 = none"),
        ("other", "String", None),
    ]


def test_codebook_and_stata_need_neither_dagster_nor_scipy():
    """Without the package around them, whose other modules read the warehouse."""
    code = (
        "import sys, types, importlib; from pathlib import Path; import microplex_pipeline; "
        "package = types.ModuleType('microplex_pipeline.export'); "
        "package.__path__ = [str(Path(microplex_pipeline.__file__).parent / 'export')]; "
        "sys.modules[package.__name__] = package; "
        "importlib.import_module('microplex_pipeline.export.codebook'); "
        "importlib.import_module('microplex_pipeline.export.stata'); "
        "print(*[m for m in ('dagster', 'scipy', 'duckdb', 'torch') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""
