"""YAML that is too large, too deep, expands, or means something else than it seems to."""

import os
import time

import pytest

from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.survey import SurveyError, column_descriptions, load_schema

LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (LAUGHS.encode(), "alias *a0 (write the value itself) in line 2"),
        (b"a: &a [1, *a]\n", "alias *a (write the value itself) in line 1"),
        (b"a: " + b"[" * 10_000, "nested in more than 20 levels in line 1"),
        (b"a: " + b"{b: " * 900 + b"1" + b"}" * 900, "nested in more than 20 levels in line 1"),
        (b"- " * 3000 + b"1", "nested in more than 20 levels in line 1"),
        (b"a: [" + b"1, " * 30_000 + b"1]", "more than 20,000 keys and values in line 1"),
        (b"# " + b"x" * 2**21, "has 2.0 MB, more than the 1 MB that are read"),
        (b"a: !!python/object/apply:os.system ['false']", "tag tag:yaml.org,2002:python/object"),
        (b"a: !!int []", "tag tag:yaml.org,2002:int (leave it out) in line 1"),
        (b"a: [", "is not valid YAML: expected"),
        (b"a: 1\n---\nb: 1\n", "found another document in line 2"),
        (b"a: 1\nb: {c: 1,\n  c: 2}\n", "c is given twice, the second time in line 3"),
        (b"a: 1\n? [b]\n: 2\n", "a list or mapping as a key in line 2"),
        (b"a: {? {x: 1} : 2, ? {x: 1} : 3}\n", "a list or mapping as a key in line 1"),
        (b"b: {<<: {c: 1}}\n", "<< (write the keys themselves) in line 1"),
        (b"a: 9" + b"9" * 5000, "a number that is too long in line 1"),
        (b"a: 1:30", "1:30 (write a number in decimal digits, or a text in quotes) in line 1"),
        (b"a: 1:30.5", "1:30.5 (write a number in decimal digits, or a text in quotes)"),
        (b"a: 017", "017 (write a number in decimal digits, or a text in quotes) in line 1"),
        (b"a: 2014-99-99", "is not valid YAML: month must be in 1..12"),
        (b"a: \x00", "is not valid text: NUL byte in line 1"),
        (b"a: b\n\x1b[31m: c", "is not valid text: control character 0x1B in line 2"),
        ("a: ü".encode("utf-16"), "is encoded as UTF-16. Save it as UTF-8"),
        ("a: bcdefg".encode("utf-16-le"), "is encoded as UTF-16. Save it as UTF-8"),
        ("a: ü".encode("utf-32"), "is encoded as UTF-32. Save it as UTF-8"),
        ("x: 1\na: ü".encode("latin-1"), "is not UTF-8: byte 0xFC in line 2. Save it as UTF-8"),
        (b"- 1", "is not valid: it is a list. Give names and values"),
        (b"just words", "is not valid: it is a single value. Give names and values"),
        (b"1: 2", "is not valid: 1 is not a name"),
    ],
)  # fmt: skip
def test_hostile_yaml_is_refused_in_one_line_at_once(refused, content, said):
    started = time.process_time()
    assert said in refused(content)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("content", ["!!python/object/apply:os.system ['false']", "- [", "\0"])
def test_yaml_runs_no_code(tmp_path, content):
    (tmp_path / "s.yaml").write_text(content)
    with pytest.raises(SurveyError, match=r"survey schema s\.yaml is not valid"):
        load_schema(tmp_path / "s.yaml")
    with pytest.raises(CalibrationError, match=r"target sources s\.yaml is not valid"):
        load_target_sources(tmp_path / "s.yaml")


def test_a_byte_order_mark_is_accepted(data, tmp_path, schema):
    (tmp_path / "s.yaml").write_bytes(
        b"\xef\xbb\xbf" + (data / "surveys" / "cps_tax_units.yaml").read_bytes()
    )
    assert load_schema(tmp_path / "s.yaml") == schema


def test_a_message_lists_a_few_of_many_faults(tmp_path):
    lines = "".join(f"key_{n}: '{'x' * 200}'\n" for n in range(4500))
    (tmp_path / "s.yaml").write_text(lines)
    started = time.process_time()
    with pytest.raises(SurveyError, match=r"; and \d+ more\. Correct it") as caught:
        load_schema(tmp_path / "s.yaml")
    assert time.process_time() - started < 10
    assert len(str(caught.value)) < 4000


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


def test_a_pipe_in_place_of_a_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "s.yaml")
    with pytest.raises(SurveyError, match=r"survey schema s\.yaml is a pipe or a device"):
        load_schema(tmp_path / "s.yaml")
