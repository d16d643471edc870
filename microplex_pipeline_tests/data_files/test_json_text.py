"""Boundaries that are no JSON, nested too deeply, or cannot be drawn."""

import json

import pytest

from microplex_pipeline.data_files import DataFileError
from microplex_pipeline.reports.geography import load_boundaries


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not valid JSON"),
        ("{}".encode("utf-16"), "is encoded as UTF-16"),
        (b"[]", "is not a topology of states and counties"),
    ],
)
def test_hostile_json_is_refused_in_one_line(tmp_path, content, message):
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(DataFileError, match=message) as caught:
        load_boundaries(tmp_path / "m.json")
    assert str(caught.value).isprintable()


def test_boundaries_that_name_a_missing_arc_are_refused(data, tmp_path):
    topology = json.loads((data / "geography" / "counties-albers-10m.json").read_bytes())
    topology["arcs"] = topology["arcs"][:5]
    (tmp_path / "m.json").write_text(json.dumps(topology))
    with pytest.raises(
        DataFileError, match=r"m\.json is not a topology .*IndexError.* Restore it"
    ):
        load_boundaries(tmp_path / "m.json")
