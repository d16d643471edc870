"""Parallel processes when one dies, when a task fails, and when the caller stops early."""

import multiprocessing
import os
import signal
from contextlib import closing

import pytest

from microplex_pipeline.workers import side_by_side


def answer(task):
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "fail":
        raise ValueError("no such task")
    return task.upper()


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
