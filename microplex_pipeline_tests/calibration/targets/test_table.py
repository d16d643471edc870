"""The long table of targets: all faults at once, and files."""

import polars as pl
import pytest

from microplex_pipeline import Reweighter, Targets
from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline.data_files import DataFileError

GOOD = pl.DataFrame(
    {
        "entity": ["household", "record"],
        "measure": ["count", "sum"],
        "variable": ["households", "wages"],
        "domain": ["all", "state:[CA,NY]|age:!=missing"],
        "value": [2.0, 9.5],
        "standard_error": [None, 0.25],
        "source": ["a, b", 'the "office"'],
    }
)
PEOPLE = pl.DataFrame({"household_id": [1, 1, 2], "wages": [1.0, 2.0, 3.0], "weight": 1.0})


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_a_table_is_read_as_it_was_written(tmp_path, name):
    targets = Targets(GOOD)
    targets.write(tmp_path / name)
    read = Targets.read(tmp_path / name)
    assert read.table.equals(targets.table)
    assert read.precision().standard_errors.tolist() == [0.0, 0.25]
    again = tmp_path / f"again.{name}"
    read.write(again)
    assert again.read_bytes() == (tmp_path / name).read_bytes()


def test_files_that_are_no_tables_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"to .csv, .csv.gz or .parquet, not t.xlsx"):
        Targets(GOOD).write(tmp_path / "t.xlsx")
    GOOD.drop("value").write_csv(tmp_path / "t.csv")
    with pytest.raises(DataFileError, match=r"t.csv lacks? .*value"):
        Targets.read(tmp_path / "t.csv")
    GOOD.with_columns(standard_error=pl.lit("wide")).write_csv(tmp_path / "s.csv")
    with pytest.raises(DataFileError, match=r"s.csv.*standard_error"):
        Targets.read(tmp_path / "s.csv")


def test_all_faults_are_named_at_once():
    bad = pl.concat([GOOD, GOOD[:1]]).with_columns(
        value=pl.Series([-2.0, float("nan"), -2.0]),
        measure=pl.Series(["count", "median", "count"]),
    )
    faults = Targets.faults(bad)
    assert [f.split(":")[0] for f in faults] == [
        "targets that are not finite numbers",
        "targets that are negative counts",
        "targets that have a measure other than count or sum or mean or ratio",
        "targets that are more than once in the table",
    ]
    with pytest.raises(
        CalibrationError, match="4 faults:\n- targets that are not finite"
    ) as refusal:
        Targets(bad)
    assert all(fault in str(refusal.value) for fault in faults)
    assert Targets.faults(GOOD) == []
    assert Targets.faults(pl.DataFrame({"entity": [1]})) == [
        "the targets lack columns: measure, variable, domain, value",
        "column 'entity' of the targets must be text, without missing values",
    ]


@pytest.mark.parametrize("column", ["value", "standard_error", "tolerance"])
def test_numbers_that_are_text_are_named(column):
    with pytest.raises(
        CalibrationError, match=f"column '{column}' of the targets must be numbers"
    ):
        Targets(GOOD.with_columns(pl.lit("5 %").alias(column)))


@pytest.mark.parametrize("entity", ["households", "hh", "persons"])
def test_an_unknown_entity_is_refused_where_households_are_numbered(entity):
    table = Targets(GOOD[:1].with_columns(entity=pl.lit(entity)))
    with pytest.raises(CalibrationError, match=f"unknown entity: {entity} count .* tax_unit"):
        Reweighter().fit(PEOPLE, table, household_id="household_id")
    # by itself, the name stands for the records
    assert Reweighter().fit(PEOPLE, table).weights_.sum() == pytest.approx(2)
