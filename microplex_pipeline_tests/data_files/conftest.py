import pytest

from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.defs.settings import SettingsError, load_settings
from microplex_pipeline.survey import SurveyError, load_schema


@pytest.fixture(params=["settings", "survey schema", "target sources"])
def refused(request, tmp_path, monkeypatch):
    """A function that returns the message with which a reader of YAML refuses a file's bytes."""
    path = tmp_path / "s.yaml"
    monkeypatch.setenv("MICROPLEX_CONFIG", str(path))
    read, error = {
        "settings": (load_settings, SettingsError),
        "survey schema": (lambda: load_schema(path), SurveyError),
        "target sources": (lambda: load_target_sources(path), CalibrationError),
    }[request.param]

    def message(content):
        path.write_bytes(content)
        with pytest.raises(error) as caught:
            read()
        said = str(caught.value)
        assert said.startswith(f"{request.param} s.yaml ")
        assert said.isprintable()
        assert str(tmp_path) not in said
        return said

    return message
