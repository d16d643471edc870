"""Processes side by side: what a death, an error, an early end costs."""

import multiprocessing
import os
import signal
from contextlib import closing

import pytest

from microplex_pipeline.execution.workers import side_by_side


def answer(task):
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "fail":
        raise ValueError("no such task")
    return task.upper()


def test_a_death_costs_its_own_task_alone():
    done = dict(side_by_side(answer, ["a", "die", "b", "c"], 2))
    assert done == {"a": "A", "die": None, "b": "B", "c": "C"}
    assert multiprocessing.active_children() == []


def test_an_error_is_raised_here_and_processes_end():
    with pytest.raises(ValueError, match="no such task"):
        list(side_by_side(answer, ["fail"], 1))
    assert multiprocessing.active_children() == []


def test_an_early_end_leaves_no_process():
    with closing(side_by_side(answer, ["a", "b", "c"], 2)) as done:
        next(done)
        assert multiprocessing.active_children()
    assert multiprocessing.active_children() == []
