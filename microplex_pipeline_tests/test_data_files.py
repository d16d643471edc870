"""Files of the data folder: names that a schema may give, messages of readers, whole writes."""

import polars as pl
import pytest
import yaml

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.data_files import DataFileError, read_table, write_together, write_whole
from microplex_pipeline.survey import SurveyError, column_descriptions, load_schema

OUTSIDE = [
    "../../etc/passwd", "/etc/passwd", "targets/../../secret", "..", ".", "", "C:\\secret", "c:/x",
    "~/../x", "a//b", "*.csv", "a\0b",
]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("place", ["name", "file", "columns_file", "state_scaling", "ageing"])
def test_a_schema_reads_nothing_outside_the_data_folder(data, tmp_path, place, name):
    stored = yaml.safe_load((data / "surveys" / "cps_tax_units.yaml").read_text())
    if place in ("state_scaling", "ageing"):
        stored[place]["file" if place == "state_scaling" else "population"] = name
    else:
        stored[place] = name
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(stored))
    with pytest.raises(SurveyError, match="is not the name of a file in the data folder"):
        load_schema(tmp_path / "s.yaml")


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("section", ["published", "areas"])
def test_target_sources_read_nothing_outside_the_data_folder(data, tmp_path, section, name):
    stored = yaml.safe_load((data / "targets" / "sources.yaml").read_text())
    stored[section][0]["files"] = [name]
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(stored))
    with pytest.raises(CalibrationError, match="is not the name of a file in the data folder"):
        load_target_sources(tmp_path / "s.yaml")


@pytest.mark.parametrize("content", ["!!python/object/apply:os.system ['false']", "- [", "\0"])
def test_yaml_runs_no_code(tmp_path, content):
    (tmp_path / "s.yaml").write_text(content)
    with pytest.raises(SurveyError, match=r"survey schema s\.yaml is not valid"):
        load_schema(tmp_path / "s.yaml")
    with pytest.raises(CalibrationError, match=r"target sources s\.yaml is not valid"):
        load_target_sources(tmp_path / "s.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "file t.csv is not in the data folder. Put it there"),
        (b"", "file t.csv is damaged or truncated: "),
        (b"a,c,d\n1,2,\xff\xfe\n", "file t.csv is damaged or truncated: "),
        (b"a,b\n1,2\n", "file t.csv lacks columns: c, d. Add them"),
    ],
)
def test_a_faulty_table_is_named_without_its_folder(tmp_path, content, message):
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataFileError) as caught:
        read_table(tmp_path / "t.csv", ["a", "c", "d"])
    assert message in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_missing_files_are_named_without_their_folder(schema, tmp_path):
    for read in (
        lambda: column_descriptions(schema, tmp_path),
        lambda: load_schema(tmp_path / "none.yaml"),
        lambda: load_target_sources(tmp_path / "none.yaml"),
    ):
        with pytest.raises(ValueError, match=r"none\.yaml|cps_tax_units_columns\.csv") as caught:
            read()
        assert str(tmp_path) not in str(caught.value)


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    (tmp_path / "s.yaml").mkdir()
    with pytest.raises(SurveyError, match=r"survey schema s\.yaml cannot be read: Is a directory"):
        load_schema(tmp_path / "s.yaml")


def test_columns_have_the_requested_types(tmp_path):
    (tmp_path / "t.csv").write_text("geoid,x\n01,2\n")
    table = read_table(tmp_path / "t.csv", ["geoid"], {"geoid": pl.String})
    assert table.rows() == [("01", 2)]


def fail(unfinished):
    unfinished.write_text("half")
    raise OSError("no space left")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "new" / "t.txt"
    write_whole(path, lambda unfinished: unfinished.write_text("old"))
    with pytest.raises(OSError, match="no space left"):
        write_whole(path, fail, beside=tmp_path)
    assert path.read_text() == "old"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_files_written_together_appear_only_if_all_are_written(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    writes = {first: lambda unfinished: unfinished.write_text("whole"), second: fail}
    with pytest.raises(OSError, match="no space left"):
        write_together(writes)
    assert not list(tmp_path.iterdir())
