"""Codebooks: every column of every table is described."""

import subprocess
import sys

import polars as pl

from microplex_pipeline.export.codebook import codebook, descriptions_of


def test_columns_mean_what_the_warehouses_comments_say(backfilled):
    warehouse = backfilled.folder / "w.duckdb"
    population = descriptions_of(warehouse, "calibration.calibrated_population")
    assert population["tax_unit_id"].startswith("synthetic unit")
    assert population["wages"].endswith("(dollars); origin: computed")
    surveyed = descriptions_of(warehouse, "survey.survey")
    assert surveyed["tax_unit_id"] != population["tax_unit_id"]
    assert descriptions_of(warehouse, "no.table") == {}


def test_codes_follow_the_description():
    columns = pl.Schema({"status": pl.UInt8, "kind": pl.UInt8, "other": pl.String})
    labels = {"status": {1: "single", 2: "joint"}, "kind": {0: "none"}}
    book = codebook(columns, {"status": "filing status"}, labels)
    assert book.rows() == [
        ("status", "UInt8", "filing status: 1 = single; 2 = joint"),
        ("kind", "UInt8", "0 = none"),
        ("other", "String", None),
    ]


def test_exports_need_neither_dagster_nor_scipy():
    code = (
        "import sys; import microplex_pipeline.export.files, microplex_pipeline.export.reports; "
        "print(*[m for m in ('dagster', 'scipy', 'sklearn', 'torch') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""
