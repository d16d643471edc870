"""Parallel processes: if one is killed, the others go on."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import TypeVar

# A process that is killed leaves behind those that it started, such as the ones with which Dagster copies its
# output; they would hold the pipes of a shell or a test open. As a group they can be ended together.
GROUPS = hasattr(os, "killpg")

Task = TypeVar("Task")
Result = TypeVar("Result")


def side_by_side(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    processes: int,
) -> Generator[tuple[Task, Result | None]]:
    """Yield every task with its result once it is done, or with None if its process died.

    An exception raised by `work` is raised here. The processes end when this one ends, for whatever reason;
    if the caller stops early, they are killed.
    """
    waiting = deque(tasks)
    workers = [_Worker(work) for _ in range(min(processes, len(waiting)))]
    at_work: dict[Connection, tuple[_Worker, Task]] = {}

    def give(worker: _Worker) -> None:
        if waiting:
            at_work[worker.pipe] = worker, waiting.popleft()
            worker.give(at_work[worker.pipe][1])

    try:
        for worker in workers:
            give(worker)
        while at_work:
            answered = wait(list(at_work))
            for pipe in [pipe for pipe in at_work if pipe in answered]:
                worker, task = at_work.pop(pipe)
                try:
                    result, error = worker.pipe.recv()
                except (EOFError, ConnectionResetError):
                    result, error = None, None
                    workers.remove(worker)
                    worker.kill()
                    if waiting:
                        worker = _Worker(work)
                        workers.append(worker)
                if error is not None:
                    raise error
                give(worker)
                yield task, result
    finally:
        for worker in workers:
            worker.kill()


class _Worker:
    """A process that receives tasks and returns results through a pipe."""

    def __init__(self, work: Callable[[Task], Result]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        # Ctrl-C on a terminal reaches every process, but only the parent reacts to it
        with _sigint_ignored():
            self._process.start()
        theirs.close()
        self.give(work)

    def give(self, task: object) -> None:
        """Send the work, or a task; if the process has died, reading its result reveals it."""
        with suppress(BrokenPipeError):
            self.pipe.send(task)

    def kill(self) -> None:
        """End the process at once, and what it started, even if it has died itself."""
        self._process.kill()
        if GROUPS and self._process.pid:
            # not yet a group of its own if it has only just been started
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.join()
        self.pipe.close()


@contextmanager
def _sigint_ignored() -> Iterator[None]:
    """Start children that ignore Ctrl-C; other threads than the main one may not change signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(pipe: Connection) -> None:
    if GROUPS:
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(format="%(message)s")  # to stderr, e.g. for whom it waits
    work = pipe.recv()
    while True:
        task = pipe.recv()
        answer: tuple[object, Exception | None]
        try:
            answer = work(task), None
        except Exception as error:
            answer = None, error
        pipe.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    if GROUPS:
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
