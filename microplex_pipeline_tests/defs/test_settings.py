"""Settings from the file and the environment, and settings that are refused."""

import os

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
    assert settings.parameters.fine_tuning.learning_rate == 2e-4


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
        ("parameters: {calibration: {bounds: [0, 5]}}", "a lowest ratio between 0 and 1"),
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "parameters: {checks: {min_records: 99999999999999999999999}}",
            "min_records: .* 64 bits",
        ),
        ("parameters: {prior: {epochs: 99999999999999999999999}}", "prior: epochs: .* 64 bits"),
        ("parameters: {fine_tuning: {hidden: 0xFFFFFFFFFFFFFFFFFF}}", "hidden: .* 64 bits"),
        ("parameters: {prior: {learning_rate: .inf}}", "learning_rate: input should be a finite"),
        ("parameters: {prior: {weight_decay: .nan}}", "weight_decay: input should be a finite"),
        ("parameters: {seed: 2014-01-01}", "parameters.seed: input should be a valid integer"),
        ("parameters: {seed: 0o17}", "parameters.seed: input should be a valid integer"),
        ("parameters: {seed: 1:30}", "1:30 .write a number in decimal digits"),
        ("parameters: [1]", "parameters: input should be a valid dictionary"),
        ("parameters: {1: 2}", "parameters"),
        (f"parameters: {{? {'x' * 900} : 2}}", "no setting is named parameters.xxx"),
        (f"missing_survey: {'x' * 90_000}", "no setting is named missing_survey"),
        (f"warehouse: {'w' * 300}.duckdb", "warehouse: .* longer than the file system allows"),
        (f"warehouse: {'w' * 235}.duckdb", "warehouse: .* longer than the file system allows"),
        (f"data: {'d/' * 2000}", "data: the path is longer than the file system allows"),
        ('incoming: "a\\x07b"', "incoming: .* control characters"),
        ("data: ~nobody_of_this_name/x", "data: there is no such place"),
        ("data: 5", "data: input is not a valid path"),
    ],
)
def test_hostile_settings_are_refused_in_one_line(written, monkeypatch, text, message):
    for name in ("MICROPLEX_DATA", "MICROPLEX_WAREHOUSE", "MICROPLEX_INCOMING"):
        monkeypatch.delenv(name, raising=False)
    written(text)
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_numbers_beyond_64_bits_are_refused_in_the_environment(written, monkeypatch):
    written("")
    monkeypatch.setenv("MICROPLEX_PARAMETERS__CHECKS__MIN_RECORDS", "9" * 25)
    with pytest.raises(SettingsError, match=r"min_records: .* 64 bits"):
        load_settings()


@pytest.mark.parametrize("text", ["", "# only a comment\n"])
def test_a_settings_file_without_settings_has_the_defaults(written, text):
    written(text)
    assert load_settings().parameters == Parameters()


def test_underscores_in_numbers_are_allowed(written):
    written("parameters: {population: {households: 1_000}}")
    assert load_settings().parameters.population.households == 1000


def test_the_home_folder_is_expanded_in_file_and_environment(written, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("MICROPLEX_DATA", "MICROPLEX_INCOMING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MICROPLEX_WAREHOUSE", "~/w.duckdb")
    written("data: ~/microdata\n")
    assert load_settings().data == (tmp_path / "home" / "microdata").resolve()
    assert load_settings().warehouse == (tmp_path / "home" / "w.duckdb").resolve()


def test_the_settings_file_is_read_once(written, monkeypatch):
    file = written("parameters: {seed: 7}")
    opened = []
    monkeypatch.setattr(os, "open", lambda *a, real=os.open: opened.append(str(a[0])) or real(*a))
    assert load_settings().parameters.seed == 7
    assert opened.count(str(file)) == 1
