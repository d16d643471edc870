"""microplex export: other programs read back what is stored."""

import shutil
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.dataset
import pyreadstat
import pytest
from polars.testing import assert_frame_equal

from microplex_pipeline.data_files import lists_as_texts
from microplex_pipeline.export.stata import NotForStata, stata_names, write_stata
from microplex_pipeline.warehouse.reading import query

SORTED = "select * from {} order by all"


def stored(warehouse, table, state):
    return query(warehouse, f"select * from {table} where state = ? and year = 2014", [state])


def test_polars_duckdb_and_arrow_read_all_parquet_files_at_once(microplex, warehouse, tmp_path):
    result = microplex("export", "--year", 2014, "--to", tmp_path)
    assert result.exit_code == 0, result.output
    assert "calibration.calibrated_population: 2 partitions" in result.output
    folder = tmp_path / "calibrated_population"
    expected = query(warehouse, SORTED.format("calibration.calibrated_population"))
    keys = ["state", "year", "tax_unit_id"]
    own = pl.read_parquet(folder).select(expected.columns).sort(keys)
    assert_frame_equal(own.with_columns(pl.col("year").cast(pl.Int32)), expected.sort(keys))
    with duckdb.connect() as connection:
        count = "select state, year, count(*) from read_parquet(?) group by all order by all"
        there = connection.execute(count, [f"{folder}/**/*.parquet"]).fetchall()
    counts = expected.group_by("state", "year").len().sort("state").rows()
    assert [(state, int(year), n) for state, year, n in there] == counts
    arrow = pyarrow.dataset.dataset(folder, partitioning="hive").to_table()
    assert arrow.num_rows == expected.height
    assert {"state", "year"} <= set(arrow.column_names)


def test_csv_has_every_value_and_no_other_nulls(microplex, warehouse, tmp_path):
    table = "calibration.targets"
    result = microplex("export", "ri", 2014, "--table", table, "--format", "csv", "--to", tmp_path)
    assert result.exit_code == 0, result.output
    expected = stored(warehouse, table, "RI")
    assert expected["note"].null_count() > 0
    read = pl.read_csv(tmp_path / "targets_csv" / "RI_2014.csv", schema=expected.schema)
    assert_frame_equal(read, expected)
    book = pl.read_csv(tmp_path / "targets.codebook.csv")
    assert book["name"].to_list() == expected.columns
    assert book["description"].null_count() == 0


def test_stata_keeps_values_whole_numbers_and_labels(microplex, warehouse, tmp_path):
    result = microplex("export", "RI", 2014, "--format", "stata", "--to", tmp_path)
    assert result.exit_code == 0, result.output
    path = tmp_path / "calibrated_population_stata" / "RI_2014.dta"
    assert b"<release>118</release>" in path.read_bytes()[:100]
    read, meta = pyreadstat.read_dta(path, output_format="polars")
    expected = stored(warehouse, "calibration.calibrated_population", "RI")
    cut = "self_employed_pension_contributi"  # Stata's names have at most 32 characters
    assert f"self_employed_pension_contributions is named {cut}" in result.stderr
    expected = expected.rename({"self_employed_pension_contributions": cut})
    assert_frame_equal(read, lists_as_texts(expected), check_dtypes=False)
    types = meta.readstat_variable_types
    whole = [name for name, dtype in expected.schema.items() if dtype.is_integer()]
    assert {types[name] for name in whole} == {"int32"}
    assert types["weight"] == "double"
    labels = meta.column_names_to_labels
    meaning = "people in the unit (exemptions) (persons); origin: resampled with the household"
    assert labels["n_persons"].startswith(meaning)
    assert labels["tax_unit_id"] == "synthetic unit, numbered from 1 within state and year"
    assert all(0 < len(label) <= 80 for label in labels.values())
    assert meta.variable_value_labels["filing_status"][2] == "married filing jointly"
    assert meta.file_label == "calibration.calibrated_population, RI 2014"


def test_the_limits_of_statas_format(tmp_path):
    frame = pl.DataFrame(
        {
            "flag": [True, None, False],
            "least": pl.Series([-2_147_483_647, None, 2_147_483_620], dtype=pl.Int64),
            "wide": pl.Series([2_147_483_621, None, 2**53], dtype=pl.Int64),
            "none": pl.Series([None, None, None], dtype=pl.Int64),
            "text": ["é", None, ""],
        }
    )
    write_stata(frame, tmp_path / "x.dta", "t" * 99, {"flag": "é" * 99}, {"flag": {1: "yes"}})
    read, meta = pyreadstat.read_dta(tmp_path / "x.dta", output_format="polars")
    assert read["flag"].to_list() == [1, None, 0]
    assert read["least"].to_list() == frame["least"].to_list()
    assert read["wide"].to_list() == [2_147_483_621, None, 2**53]
    assert read["none"].null_count() == 3
    assert read["text"].to_list() == ["é", "", ""]  # Stata's missing string is the empty one
    assert meta.column_labels[0] == "é" * 79 + "…"
    assert meta.variable_value_labels["flag"] == {1: "yes"}
    for column, message in [
        (pl.Series("x", [2**60]), "whole numbers beyond"),
        (pl.Series("x", ["a" * 3000]), "longer than 2045 bytes"),
        (pl.Series("x", [float("inf")]), "infinite"),
        (pl.Series("x", [[1]]), "List"),
    ]:
        with pytest.raises(NotForStata, match=message):
            write_stata(column.to_frame(), tmp_path / "y.dta", "", {}, {})
    assert not (tmp_path / "y.dta").exists()
    with pytest.raises(NotForStata, match=r"the names double: .* reserved word"):
        write_stata(pl.DataFrame({"double": [1]}), tmp_path / "y.dta", "", {}, {})


def test_names_too_long_for_stata_are_shortened_to_different_names_and_reported(
    microplex, tmp_path
):
    names = stata_names(["a" * 32, "a" * 33, "a" * 34, "b"])
    assert names["a" * 32] == "a" * 32
    assert len(set(names.values())) == 4
    assert max(map(len, names.values())) == 32
    options = ["--table", "survey.raw_survey", "--format", "stata", "--to", tmp_path]
    result = microplex("export", "RI", 2014, *options)
    assert result.exit_code == 0
    assert "self_employed_pension_contributions is named self_employed_pension_contributi:" in (
        result.stderr
    )


def test_an_export_replaces_its_partition_and_leaves_others(microplex, tmp_path):
    microplex("export", "--year", 2014, "--format", "csv", "--to", tmp_path)
    folder = tmp_path / "calibrated_population_csv"
    whole = (folder / "RI_2014.csv").read_bytes()
    (folder / "RI_2014.csv").write_text("old")
    (folder / "VT_2014.csv").write_text("another's")
    microplex("export", "RI", 2014, "--format", "csv", "--to", tmp_path)
    assert (folder / "RI_2014.csv").read_bytes() == whole
    assert (folder / "VT_2014.csv").read_text() == "another's"
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["DE", "2014"], 1, "calibration.calibrated_population has no rows of DE 2014"),
        (["--states", "RI,DE", "--year", "2014"], 1, "has no rows of DE 2014"),
        (["--year", "2012-2014"], 1, "has no rows of 2012, 2013"),
        (["RI", "2014", "--table", "models.flow"], 1, "fitted models"),
        (["RI", "2014", "--table", "evaluation.state_report"], 1, "pages"),
        (["RI", "2014", "--table", "calibration.nothing"], 1, "no table 'calibration.nothing'"),
        (["RI", "2014", "--table", "x; drop table y"], 1, "no table"),
        (["RI"], 2, "give a state and a year"),
        (["RI", "2014", "--year", "2014"], 2, "give a state and a year"),
        (["ZZ", "2014"], 2, "'ZZ' is not a state"),
        (["--year", "1990"], 2, "'1990' is not among"),
        (["RI", "2014", "--format", "xlsx"], 2, "'xlsx' is not one of"),
    ],
)
def test_if_something_is_missing_it_is_named_and_nothing_is_written(
    microplex, tmp_path, words, code, message
):
    result = microplex("export", *words, "--to", tmp_path / "files")
    assert result.exit_code == code
    assert message in result.stderr
    assert isinstance(result.exception, SystemExit)
    assert not (tmp_path / "files").exists()


def test_a_folder_that_cannot_be_written_to_is_reported(microplex, tmp_path):
    (tmp_path / "file").write_text("")
    result = microplex("export", "RI", 2014, "--to", tmp_path / "file" / "below")
    assert result.exit_code == 1
    assert "could not be written" in result.stderr


def test_outdated_partitions_are_exported_with_a_warning(microplex, monkeypatch, tmp_path):
    assert "out of date" not in microplex("export", "RI", 2014, "--to", tmp_path).output
    monkeypatch.setenv("MICROPLEX_PARAMETERS__POPULATION__HOUSEHOLDS", "1600")
    result = microplex("export", "--year", 2014, "--to", tmp_path)
    assert result.exit_code == 0
    assert "RI 2014, VT 2014: out of date: built from" in result.output
    report = microplex("report", "RI", 2014, "--no-open", "--to", tmp_path)
    assert "RI 2014: out of date: built from" in report.output
    targets = microplex("export", "RI", 2014, "--table", "calibration.targets", "--to", tmp_path)
    assert "out of date" not in targets.output  # nothing that they are made from has changed


def test_what_a_stricter_check_has_not_passed_is_exported_with_a_warning(
    microplex, monkeypatch, tmp_path
):
    monkeypatch.setenv("MICROPLEX_PARAMETERS__CHECKS__MIN_RECORDS", "100000")
    result = microplex("export", "RI", 2014, "--to", tmp_path)
    assert result.exit_code == 0
    assert "RI 2014: not passed with the present limits: enough_records (see" in result.stderr
    raw = microplex("export", "RI", 2014, "--table", "survey.raw_survey", "--to", tmp_path)
    assert "not passed" not in raw.stderr  # the check is about what is made from it


@pytest.fixture
def forged(backfilled, tmp_path, monkeypatch):
    """A warehouse that somebody has changed; other tests share the original."""
    warehouse = Path(shutil.copy(backfilled.folder / "w.duckdb", tmp_path / "w.duckdb"))
    monkeypatch.setenv("MICROPLEX_WAREHOUSE", str(warehouse))
    return warehouse


@pytest.mark.parametrize("kind", ["parquet", "csv", "stata"])
def test_a_forged_state_writes_nothing(microplex, forged, tmp_path, kind):
    with duckdb.connect(str(forged)) as connection:
        connection.execute(
            "update calibration.targets set state = '../../../x' where state = 'VT'"
        )
    folder = tmp_path / "deep" / "exports"
    words = ["--table", "calibration.targets", "--format", kind, "--to", folder]
    result = microplex("export", "--year", 2014, *words)
    assert result.exit_code == 1
    assert "calibration.targets holds rows of '../../../x', 2014, which is not a state" in (
        result.stderr
    )
    assert not (tmp_path / "deep").exists()
    assert not (tmp_path / "x").exists()


def test_a_csv_file_has_no_formulas(microplex, forged, tmp_path):
    with duckdb.connect(str(forged)) as connection:
        connection.execute("update calibration.targets set note = '=cmd()'")
    words = ["--table", "calibration.targets", "--format", "csv", "--to", tmp_path]
    assert microplex("export", "RI", 2014, *words).exit_code == 0
    notes = pl.read_csv(tmp_path / "targets_csv" / "RI_2014.csv")["note"]
    assert set(notes) == {"'=cmd()"}


def test_a_forged_table_is_none_that_can_be_exported(microplex, forged, tmp_path):
    with duckdb.connect(str(forged)) as connection:
        connection.execute('create table "survey"."../../up" as from survey.survey')
    result = microplex(
        "export", "RI", 2014, "--table", "survey.../../up", "--to", tmp_path / "exports"
    )
    assert result.exit_code == 1
    assert "there is no table 'survey.../../up'" in result.stderr
    assert not (tmp_path / "exports").exists()


@pytest.mark.parametrize("link", ["calibrated_population", "calibrated_population/year=2014"])
def test_a_link_that_leads_out_of_the_folder_is_not_followed(microplex, tmp_path, link):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "exports" / link).parent.mkdir(parents=True)
    (tmp_path / "exports" / link).symlink_to(elsewhere)
    result = microplex("export", "RI", 2014, "--to", tmp_path / "exports")
    assert result.exit_code == 1
    assert "a link that leads elsewhere" in result.stderr
    assert not list(elsewhere.iterdir())
