"""CSV files whose texts look like formulas."""

import polars as pl
import pytest

from microplex_pipeline.data_files import inert, inert_texts
from microplex_pipeline.warehouse.failures import failures_file, write_failure


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_calculate_gets_an_apostrophe(text):
    assert inert(text) == f"'{text}"
    rows = pl.DataFrame({"why": [text, None, "a=1"], "amount": [-1.5, 2.0, None]})
    assert inert_texts(rows).rows() == [(f"'{text}", -1.5), (None, 2.0), ("a=1", None)]


def test_a_columns_name_counts_as_a_text():
    assert inert_texts(pl.DataFrame({"=1": [1]})).columns == ["'=1"]


def test_the_list_of_failures_has_no_formulas(tmp_path):
    write_failure(tmp_path / "w.duckdb", "run", "RI|2014", "targets", "=cmd()")
    assert ",'=cmd()," in failures_file(tmp_path / "w.duckdb").read_text()
