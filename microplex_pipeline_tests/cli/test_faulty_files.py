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
    "export": ["export", "RI", "2014", "--format", "csv", "--to", "out"],
}


@pytest.mark.parametrize("message", CHANGES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_faulty_target_file_gives_one_message(damaged, monkeypatch, tmp_path, command, message):
    monkeypatch.chdir(tmp_path)
    result = damaged(TARGETS, CHANGES[message], *COMMANDS[command])
    assert result.exit_code in (0, 1)
    assert isinstance(result.exception, SystemExit | None), result.exception
    if command != "export":  # may export what is stored without comparing it with the files
        assert result.exit_code == 1
    if result.exit_code:
        assert f"Error: file {TARGETS.split('/')[1]} {message}" in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_a_survey_file_that_is_a_folder_gives_one_message(damaged, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    growth = tmp_path / "project" / "data" / "population_growth.csv"
    growth.unlink()
    growth.mkdir()
    result = damaged(TARGETS, lambda content: content, *COMMANDS[command])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert result.exit_code == 0 or "population_growth.csv cannot be read: Is a" in result.output
