"""Settings from the file and the environment, and settings that are refused."""

import pytest
import yaml

from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.settings import Settings, SettingsError, load_settings
from microplex_pipeline_tests.conftest import CHECKOUT


@pytest.fixture
def written(tmp_path, monkeypatch):
    def write(text):
        file = tmp_path / "mine.yaml"
        file.write_text(text)
        monkeypatch.setenv("MICROPLEX_CONFIG", str(file))
        return file

    return write


def test_the_bundled_settings_file_has_the_defaults(monkeypatch):
    monkeypatch.chdir(CHECKOUT / "docs")  # a folder below the project's
    for name in ("MICROPLEX_CONFIG", "MICROPLEX_DATA", "MICROPLEX_WAREHOUSE"):
        monkeypatch.delenv(name, raising=False)
    settings = load_settings()
    assert settings.parameters == Parameters()
    assert settings.warehouse == CHECKOUT / "warehouse" / "microplex.duckdb"
    assert settings.data == CHECKOUT / "data"


def test_the_bundled_settings_file_has_every_parameter_except_details_of_training():
    written = yaml.safe_load((CHECKOUT / "microplex.yaml").read_text())["parameters"]
    assert set(written) == set(Parameters.model_fields)
    for section in ("sample", "margins", "population", "checks"):
        assert set(written[section]) == set(getattr(Parameters(), section).model_dump())


def test_the_environment_takes_precedence_over_the_file(written, monkeypatch, tmp_path):
    monkeypatch.delenv("MICROPLEX_WAREHOUSE", raising=False)
    written("warehouse: here/w.duckdb\nparameters: {seed: 7, fine_tuning: {epochs: 3}}\n")
    monkeypatch.setenv("MICROPLEX_PARAMETERS__POPULATION__HOUSEHOLDS", "1234")
    settings = load_settings()
    assert settings.warehouse == tmp_path.resolve() / "here" / "w.duckdb"
    assert settings.parameters.seed == 7
    assert settings.parameters.population.households == 1234
    # values missing in a section keep that section's own defaults
    assert settings.parameters.fine_tuning.epochs == 3
    assert settings.parameters.fine_tuning.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "parameters: {sed: 1}",
            "no setting is named parameters.sed; known settings: seed, sample",
        ),
        ("parameters: {seed: 1, seed: 2}", "seed is given twice, the second time in line 1"),
        ("1: 2", "mine.yaml"),
        ("parameters: {margins: {tail_factor: .inf}}", "tail_factor"),
        ("parameters: {checks: {max_total_ratio: .inf}}", "should be a finite number"),
        ("parameters: {checks: {max_cell_ratio: .nan}}", "max_cell_ratio"),
        ("parameters: {seed: 99999999999999999999}", "parameters.seed: input should be less than"),
        ("parameters: {population: {households: -1}}", "households"),
        ("parameters: {prior: {hiden: 5}}", "hiden"),
        ("warehous: x", "warehous"),
        ("a: [", "mine.yaml"),
        ("- 1", "mine.yaml"),
    ],
)
def test_invalid_settings_are_refused_by_name(written, text, message):
    written(text)
    with pytest.raises(SettingsError, match=message):
        load_settings()


def test_a_settings_file_that_is_named_must_exist(monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPLEX_CONFIG", str(tmp_path / "no.yaml"))
    with pytest.raises(SettingsError, match=r"no\.yaml, but there is no such file"):
        load_settings()


def test_arguments_take_precedence(written, tmp_path):
    written("parameters: {seed: 7}")
    settings = Settings(warehouse=tmp_path / "w.duckdb", parameters=Parameters(seed=1))
    assert settings.parameters.seed == 1


def test_a_misspelt_environment_variable_is_refused(monkeypatch):
    monkeypatch.setenv("MICROPLEX_WAREHOSE", "x")
    with pytest.raises(SettingsError, match="MICROPLEX_WAREHOSE"):
        load_settings()


def test_outside_a_project_the_message_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv("MICROPLEX_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"not a project.*microplex init FOLDER"):
        load_settings()


def test_the_nearest_project_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv("MICROPLEX_CONFIG", raising=False)
    monkeypatch.delenv("MICROPLEX_WAREHOUSE", raising=False)
    (tmp_path / "inner" / "deep").mkdir(parents=True)
    (tmp_path / "microplex.yaml").write_text("parameters: {seed: 1}")
    (tmp_path / "inner" / "microplex.yaml").write_text("parameters: {seed: 2}")
    monkeypatch.chdir(tmp_path / "inner" / "deep")
    assert load_settings().parameters.seed == 2
    assert load_settings().warehouse == (tmp_path / "inner/warehouse/microplex.duckdb").resolve()
