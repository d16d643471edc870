"""Parquet files that are small on disk and large in memory, nested, oddly named, or no file at all."""

import os

import polars as pl
import pytest

from microplex_pipeline.data_files import DataFileError, parquet, read_rows, reading
from microplex_pipeline.survey import SurveyError, columns_left_out, read_survey, take_in

STATE = ["RI"]


@pytest.fixture(scope="module")
def few(data, schema):
    """The records of one state and year."""
    records = pl.scan_parquet(data / schema.file)
    return records.filter(pl.col("state") == "RI", pl.col("year") == 2014).collect()


@pytest.fixture
def folder(tmp_path, few, schema, data):
    folder = tmp_path / "a ?[b]*%41 é=1"
    folder.mkdir()
    few.write_parquet(folder / schema.file)
    (folder / schema.ageing.population).write_bytes((data / schema.ageing.population).read_bytes())
    return folder


def test_any_name_of_a_folder_is_read(folder, schema, few):
    assert read_survey(schema, folder, "RI", 2014).height == few.height
    few.write_parquet(folder / "x?*[1].parquet")
    assert take_in(folder / "x?*[1].parquet", schema, folder, STATE, 2025) == [2014]
    assert read_survey(schema, folder, "RI", 2014).height == few.height


def test_rows_that_would_fill_the_memory_are_refused_before_they_are_read(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    rows = 40_000_000
    key = pl.repeat(1, rows, dtype=pl.UInt8, eager=True).alias("key")
    key.to_frame().write_parquet(path, row_group_size=rows)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(parquet, "PARQUET_BYTES", 100 * 2**20)
    monkeypatch.setattr(pl.LazyFrame, "collect", lambda *_, **__: pytest.fail("data were read"))
    with (
        pytest.raises(DataFileError, match=r"has 40,000,000 rows .* 1 columns, .* more than 0 GB"),
        reading(path, "file t.parquet", DataFileError),
    ):
        read_rows(path, ["key"])


def read_as(how, folder, schema):
    """Read x.parquet as the first edition, or take it in as a later one."""
    if how == "later":
        return take_in(folder / "x.parquet", schema, folder, STATE, 2025)
    (folder / "x.parquet").replace(folder / schema.file)
    return read_survey(schema, folder, "RI", 2014)


@pytest.mark.parametrize("how", ["first", "later"])
def test_a_survey_beyond_the_bound_is_refused_with_its_rows(folder, schema, few, monkeypatch, how):
    monkeypatch.setattr(parquet, "PARQUET_BYTES", 200_000)
    few.write_parquet(folder / "x.parquet")
    with pytest.raises(SurveyError, match=r"has 1,204 rows to be read of 67 columns"):
        read_as(how, folder, schema)


def test_only_the_rows_of_the_state_count_towards_the_bound(data, schema, monkeypatch):
    monkeypatch.setattr(parquet, "PARQUET_BYTES", 8 * 2**20)  # the whole file takes 80 MB
    assert read_survey(schema, data, "RI", 2014).height == 1204


def test_long_texts_that_a_dictionary_repeats_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"t": pl.repeat("x" * 10_000, 1000, eager=True)}).write_parquet(path)
    assert path.stat().st_size < 50_000
    monkeypatch.setattr(parquet, "PARQUET_BYTES", 2**20)
    with (
        pytest.raises(DataFileError, match=r"file t\.parquet has texts of .* in t\. Check"),
        reading(path, "file t.parquet", DataFileError),
    ):
        read_rows(path, ["t"])


NESTED = {
    "Struct": pl.struct(pl.col("snap").alias("a")),
    "List": pl.concat_list("snap"),
    "Array": pl.concat_list("snap").cast(pl.Array(pl.Int32, 1)),
    "Binary": pl.lit(b"x"),
}


@pytest.mark.parametrize("dtype", NESTED)
@pytest.mark.parametrize("how", ["first", "later"])
def test_nested_columns_are_refused_with_name_and_type(folder, schema, few, dtype, how):
    few.with_columns(NESTED[dtype].alias("snap")).write_parquet(folder / "x.parquet")
    with pytest.raises(SurveyError, match=rf"has the column snap of type {dtype}"):
        read_as(how, folder, schema)


def test_other_columns_of_any_type_are_left_out_and_named(folder, schema, few):
    few.with_columns(NESTED["Struct"].alias("more")).write_parquet(folder / "x.parquet")
    assert columns_left_out(folder / "x.parquet", schema, folder) == ["more"]
    assert take_in(folder / "x.parquet", schema, folder, STATE, 2025) == [2014]
    assert "more" not in read_survey(schema, folder, "RI", 2014).columns


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.lit("x").alias("snap"), "snap is not a number"),
        (pl.lit(1e300).alias("wages_head"), "wages_head is beyond"),
        (pl.lit("2014").alias("year"), "has no whole numbers in year"),
        (pl.lit(44).alias("state"), "has no texts in state"),
        (pl.col("weight").cast(pl.String), "weight is not a number"),
        (pl.lit(None).alias("age_head"), "age_head is not a number"),
    ],
)
def test_columns_of_the_wrong_type_are_named(folder, schema, few, change, message):
    few.with_columns(change).write_parquet(folder / schema.file)
    with pytest.raises(SurveyError, match=message):
        read_survey(schema, folder, "RI", 2014)


def test_dates_in_place_of_numbers_are_refused(folder, schema, few):
    dates = few.with_columns(pl.date(1970, 1, 3).alias("age_head"))
    dates.write_parquet(folder / "x.parquet")
    with pytest.raises(SurveyError, match=r"x\.parquet has dates or times in age_head"):
        take_in(folder / "x.parquet", schema, folder, STATE, 2025)


def test_a_pipe_in_place_of_a_survey_is_refused_without_waiting(folder, schema):
    (folder / schema.file).unlink()
    os.mkfifo(folder / schema.file)
    with pytest.raises(SurveyError, match="is a pipe or a device"):
        read_survey(schema, folder, "RI", 2014)
