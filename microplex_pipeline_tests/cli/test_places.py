"""Where commands write files, and their messages about unusable locations."""

import os
import shutil
import signal
import socket

import click
import pytest
from click.testing import CliRunner
from filelock import FileLock

from microplex_pipeline.cli import main
from microplex_pipeline.cli.places import dagster_home, use_dagster_home
from microplex_pipeline_tests.conftest import CHECKOUT


def test_an_empty_dagster_home_counts_as_unset(monkeypatch, tmp_path):
    shutil.copyfile(CHECKOUT / "dagster.yaml", tmp_path / "dagster.yaml")
    (tmp_path / "microplex.yaml").touch()
    monkeypatch.delenv("MICROPLEX_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", "")
    use_dagster_home()
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / ".dagster")
    assert (tmp_path / ".dagster" / "dagster.yaml").exists()


def test_a_relative_dagster_home_is_made_with_the_projects_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPLEX_CONFIG", str(CHECKOUT / "microplex.yaml"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", "deep/home")
    assert dagster_home() == tmp_path / "deep" / "home"
    use_dagster_home()
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / "deep" / "home")
    copy = tmp_path / "deep" / "home" / "dagster.yaml"
    assert copy.read_bytes() == (CHECKOUT / "dagster.yaml").read_bytes()
    copy.write_text("telemetry: {enabled: false}\n")
    use_dagster_home()
    assert copy.read_text() == "telemetry: {enabled: false}\n"


def test_a_file_cannot_be_dagster_home(microplex, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "file"))
    with pytest.raises(click.ClickException, match="set DAGSTER_HOME to a folder"):
        use_dagster_home()
    result = microplex("build", "RI", "2014")
    assert result.exit_code == 1
    assert "history" in result.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_a_tilde_leads_to_the_home_of_a_user_who_exists(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", "~/deep")
    assert dagster_home() == tmp_path / "deep"
    monkeypatch.setenv("DAGSTER_HOME", "~nobody-here/deep")
    with pytest.raises(click.ClickException, match="~nobody-here/deep, but there is no such user"):
        dagster_home()


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a[1]", "a*"])
def test_a_project_whose_files_could_not_be_found_is_refused(tmp_path, name):
    result = CliRunner().invoke(main, ["init", str(tmp_path / name)])
    assert result.exit_code == 1
    assert f"{name} cannot be used, because its path has " in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "name", "command"),
    [
        ("DAGSTER_HOME", "home?", ["build", "RI", "2014"]),
        ("DAGSTER_HOME", "100%", ["backfill"]),
        (
            "DAGSTER_HOME",
            "home[1]",
            ["build", "RI", "2014"],
        ),  # Dagster would not read its dagster.yaml
        ("DAGSTER_HOME", "100%", ["ui", "--port", "0"]),
        ("MICROPLEX_WAREHOUSE", "w?.duckdb", ["query", "select 1"]),
    ],
)
def test_paths_whose_files_could_not_be_found_are_refused(
    microplex, monkeypatch, tmp_path, variable, name, command
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, str(tmp_path / name))
    result = microplex(*command)
    assert result.exit_code == 1
    assert f"{name} cannot be used, because its path has " in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["report", "export"])
def test_unusable_output_folders_are_reported(microplex, tmp_path, command):
    (tmp_path / "file").write_text("mine")
    to = [command, "RI", "2014", *(["--no-open"] if command == "report" else []), "--to"]
    for folder, code, message in (
        ("", 2, "give a folder, not an empty string"),
        (tmp_path / "file", 1, "file is a file, not a folder"),
        (tmp_path / "file" / "below", 1, "could not be written (Not a directory)"),
    ):
        result = microplex(*to, folder)
        assert result.exit_code == code
        assert message in result.stderr
        assert isinstance(result.exception, SystemExit)
    assert (tmp_path / "file").read_text() == "mine"


def test_the_ui_makes_the_incoming_folder_and_reports_a_port_in_use(
    microplex, monkeypatch, tmp_path
):
    monkeypatch.setenv("MICROPLEX_INCOMING", str(tmp_path / "incoming"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = microplex("ui", "--port", port)
        with FileLock(dagster_home() / "ui.lock"):
            second = microplex("ui", "--port", 0)
        (dagster_home() / "ui.lock").unlink()
        (dagster_home() / "ui.lock").mkdir()  # cannot be written, not even by root
        unwritable = microplex("ui", "--port", 0)
    for number, handler in before.items():
        signal.signal(number, handler)
    assert result.exit_code == 1
    assert f"port {port} is not available" in result.output
    assert (tmp_path / "incoming").is_dir()
    assert second.exit_code == 1
    assert "is already running" in second.output
    assert unwritable.exit_code == 1
    assert "ui.lock cannot be written (Is a directory): " in unwritable.stderr
