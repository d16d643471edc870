"""Parallel processes when one dies, when a task fails, and when the caller stops early."""

import multiprocessing
import os
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from microplex_pipeline.workers import side_by_side
from microplex_pipeline_tests.conftest import is_alive


def answer(task):
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "fail":
        raise ValueError("no such task")
    return task.upper()


def start_and_die(task):
    child = subprocess.Popen(["sleep", "600"])
    Path(task).write_text(str(child.pid))
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(os.name != "posix", reason="there are no groups of processes")
def test_what_a_killed_process_started_ends_with_it(tmp_path):
    file = tmp_path / "pid"
    assert list(side_by_side(start_and_die, [str(file)], 1)) == [(str(file), None)]
    deadline = time.monotonic() + 5  # until its new parent has noticed
    while is_alive(int(file.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_process_loses_only_its_own_task():
    done = dict(side_by_side(answer, ["a", "die", "b", "c"], 2))
    assert done == {"a": "A", "die": None, "b": "B", "c": "C"}
    assert multiprocessing.active_children() == []


def test_an_error_is_raised_in_the_caller_and_processes_end():
    with pytest.raises(ValueError, match="no such task"):
        list(side_by_side(answer, ["fail"], 1))
    assert multiprocessing.active_children() == []


def test_stopping_early_leaves_no_process():
    with closing(side_by_side(answer, ["a", "b", "c"], 2)) as done:
        next(done)
        assert multiprocessing.active_children()
    assert multiprocessing.active_children() == []
