"""Files of the data folder that cannot be used: every command ends with one message."""

import shutil

import pytest

from microplex_pipeline_tests.conftest import variables

TARGETS = "targets/bundled_state_population_2010_2019.csv"


@pytest.fixture
def damaged(microplex, backfilled, monkeypatch, tmp_path):
    """A function that runs a command after a change of a file of a copied project."""
    folder = shutil.copytree(backfilled.folder, tmp_path / "project")
    for name, value in variables(folder).items():
        monkeypatch.setenv(name, value)

    def run(file, change, *words):
        path = folder / "data" / file
        path.write_bytes(change(path.read_bytes()))
        return microplex(*words)

    return run


CHANGES = {
    "is empty": lambda content: b"",
    "is encoded as UTF-16. Save it as UTF-8": lambda content: content.decode().encode("utf-16"),
    "has columns separated by ';'. Save it with commas": lambda c: c.replace(b",", b";"),
}
COMMANDS = {
    "status": ["status"],
    "backfill": ["backfill", "--jobs", "1", "--states", "RI", "--year", "2014"],
}
EXPORT = ["export", "RI", "2014", "--format", "csv", "--to", "out"]


@pytest.mark.parametrize("message", CHANGES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_faulty_target_file_gives_one_message(damaged, command, message):
    result = damaged(TARGETS, CHANGES[message], *COMMANDS[command])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert f"Error: file {TARGETS.split('/')[1]} {message}" in result.output


@pytest.mark.parametrize("message", CHANGES)
def test_what_is_stored_is_exported_with_a_warning(damaged, monkeypatch, tmp_path, message):
    monkeypatch.chdir(tmp_path)
    result = damaged(TARGETS, CHANGES[message], *EXPORT)
    assert result.exit_code == 0, result.output
    warning = "it is not known whether this is out of date: file "
    assert f"{warning}{TARGETS.split('/')[1]} {message}" in result.stderr
    assert (tmp_path / "out" / "calibrated_population_csv" / "RI_2014.csv").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_in_place_of_a_file_gives_one_message(damaged, tmp_path, command):
    growth = tmp_path / "project" / "data" / "population_growth.csv"
    growth.unlink()
    growth.mkdir()
    result = damaged(TARGETS, lambda content: content, *COMMANDS[command])
    assert result.exit_code == 1
    assert "Error: file population_growth.csv cannot be read: Is a directory" in result.output
