"""CSV files as editors and spreadsheets leave them, and files in their place that are none."""

import os
from pathlib import Path

import polars as pl
import pytest

from microplex_pipeline.data_files import DataFileError, read_table

COLUMNS = {"geoid": pl.String, "year": pl.Int64, "value": pl.Float64}
HEADER = "geoid,year,value\n"
ROWS = HEADER + "01,2014,2.5\n02,2014,3\n"
TABLE = [("01", 2014, 2.5), ("02", 2014, 3.0)]


@pytest.mark.parametrize(
    "content",
    [
        ROWS.encode(),
        b"\xef\xbb\xbf" + ROWS.encode(),
        ROWS.replace("\n", "\r\n").encode(),
        ROWS.strip().encode(),
        ROWS.replace("01,2014", '"01", 2014').encode(),
    ],
)
def test_columns_have_the_requested_types(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    assert read_table(tmp_path / "t.csv", COLUMNS).rows() == TABLE


def test_other_columns_are_text_or_of_one_type(tmp_path):
    (tmp_path / "t.csv").write_text("geoid,x\n01,2\n")
    assert read_table(tmp_path / "t.csv", {"geoid": pl.String}).rows() == [("01", "2")]
    numbers = read_table(tmp_path / "t.csv", {"geoid": pl.String}, others=pl.Float64)
    assert numbers.rows() == [("01", 2.0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not in the data folder. Put it there"),
        (b"", "is empty. Restore it"),
        (b"\xef\xbb\xbf\n \n", "is empty. Restore it"),
        (ROWS.encode("utf-16"), "is encoded as UTF-16. Save it as UTF-8"),
        (ROWS.encode("utf-16-be"), "is encoded as UTF-16. Save it as UTF-8"),
        ((ROWS + "Doña Ana,2014,1\n").encode("latin-1"), "is not UTF-8: byte 0xF1 in line 4"),
        (ROWS.replace(",", ";").encode(), "has columns separated by ';'. Save it with commas"),
        (ROWS.replace(",", "\t").encode(), "has columns separated by tabs. Save it with commas"),
        ((ROWS + "03,2014,\0\n").encode(), "is not valid text: NUL byte in line 4"),
        ((ROWS + "03,2014\n").encode(), "has 2 fields in row 4, but 3 in the header. Correct it"),
        ((ROWS + "03,2014,1,2\n").encode(), "has 4 fields in row 4, but 3 in the header"),
        ((ROWS + "03,2014,many\n").encode(), "has 'many' in row 4, column value: it must be a number"),
        ((ROWS + "03,2014.5,1\n").encode(), "has '2014.5' in row 4, column year: it must be a whole"),
        ((ROWS + f"03,{'9' * 30},1\n").encode(), "in row 4, column year: it must be a whole number"),
        (HEADER.encode(), "has a header, but no rows. Restore it"),
        (b"geoid,year,value,year\n01,1,1,1\n", "has the column 'year' twice. Rename one of them"),
        (b"geoid,year\n1,2\n", "lacks columns: value. Add them"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "Save it as UTF-8"),
        ((ROWS + "\"03").encode(), "is not a CSV file: unexpected end of data, line 4"),
        (ROWS.replace("2.5", '"2"5').encode(), "is not a CSV file: ',' expected after '\"', line 2"),
        ((ROWS + "x" * 200_000).encode(), "is not a CSV file: field larger than field limit"),
        ((HEADER.strip() + ",x" * 3000 + "\n").encode(), "has 3,003 columns, more than the 2,000"),
        (b"geoid,year,value\n" + b"x" * (64 * 2**20), "more than the 64 MB that are read"),
    ],
)  # fmt: skip
def test_a_faulty_table_is_named_without_its_folder(tmp_path, content, message):
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataFileError) as caught:
        read_table(tmp_path / "t.csv", COLUMNS)
    assert str(caught.value).startswith("file t.csv ")
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path.mkdir, "cannot be read: Is a directory. Make it readable"),
        (os.mkfifo, "is a pipe or a device. Put an ordinary file in its place"),
        (lambda path: path.symlink_to("/dev/zero"), "is a pipe or a device"),
        (lambda path: path.symlink_to("nowhere"), "is a link to a file that is gone. Restore it"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
    ],
)
def test_what_is_no_file_is_refused_without_waiting(tmp_path, make, message):
    make(tmp_path / "t.csv")
    with pytest.raises(DataFileError) as caught:
        read_table(tmp_path / "t.csv", COLUMNS)
    assert message in str(caught.value)


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    def denied(*arguments):
        raise PermissionError(13, "Permission denied", "t.csv")

    monkeypatch.setattr(os, "open", denied)  # root may read everything
    with pytest.raises(DataFileError, match=r"t\.csv cannot be read: Permission denied\. Make it"):
        read_table(tmp_path / "t.csv", COLUMNS)


def test_any_name_of_a_folder_is_read(tmp_path):
    folder = tmp_path / "a ?[b]*%41 é=1"
    folder.mkdir()
    (folder / "t.csv").write_text(ROWS)
    assert read_table(folder / "t.csv", COLUMNS).rows() == TABLE
