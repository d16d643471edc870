"""run.py: its help, and the project that its commands work on."""

import importlib.util
import os
import subprocess
import sys

import pytest

from microplex_pipeline.cli import COMMANDS
from microplex_pipeline_tests.conftest import CHECKOUT


def test_the_help_lists_every_command():
    command = [sys.executable, str(CHECKOUT / "run.py"), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in (*COMMANDS, "test", "setup", "lock"):
        assert f"python3 run.py {name} " in shown


@pytest.mark.parametrize(
    ("folder", "expected"), [("demo", None), ("demo/below", None), ("elsewhere", CHECKOUT)]
)
def test_commands_work_on_the_project_of_the_current_folder_or_else_the_checkouts(
    monkeypatch, tmp_path, folder, expected
):
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "demo").mkdir(exist_ok=True)
    (tmp_path / "demo" / "microplex.yaml").touch()
    monkeypatch.chdir(tmp_path / folder)
    # recorded so that it is unset again after the test, too
    monkeypatch.setenv("MICROPLEX_CONFIG", "")
    monkeypatch.delenv("MICROPLEX_CONFIG")
    monkeypatch.setattr(sys, "argv", ["run.py", "status"])
    found = importlib.util.spec_from_file_location("run", CHECKOUT / "run.py")
    assert found is not None
    assert found.loader is not None
    run = importlib.util.module_from_spec(found)
    found.loader.exec_module(run)
    monkeypatch.setattr(run, "set_up", lambda extra: None)
    started = []
    monkeypatch.setattr(os, "execv", lambda *words: started.append(words) or sys.exit(0))
    with pytest.raises(SystemExit):
        run.main()
    assert started[0][1][1:] == ["-P", "-m", "microplex_pipeline", "status"]
    named = expected and str(expected / "microplex.yaml")
    assert os.environ.get("MICROPLEX_CONFIG") == named
