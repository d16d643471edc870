"""Names that a schema or the target sources may give to files."""

import pytest
import yaml

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.survey import SurveyError, load_schema

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


@pytest.mark.parametrize(
    "name", ["a" * 300, "é" * 150, f"x/{'b' * 256}/y", "a\nb", "a\x1bb", "a\x7f"]
)
def test_names_that_no_file_can_have_are_refused(data, tmp_path, name):
    stored = yaml.safe_load((data / "surveys" / "cps_tax_units.yaml").read_text())
    stored["columns_file"] = name
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(stored))
    with pytest.raises(
        SurveyError, match=r"longer than the file system|control characters"
    ) as caught:
        load_schema(tmp_path / "s.yaml")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
