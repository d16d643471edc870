"""A run's progress on the terminal, read from its event log while it runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
import dagster as dg
from sqlalchemy.exc import DatabaseError

from microplex_pipeline.defs.reasons import reason_of

POLL_SECONDS = 0.2


@contextmanager
def shown(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Print the run's progress until the block ends."""
    finished = threading.Event()
    thread = threading.Thread(target=_follow, args=(instance, run_id, finished), daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _follow(instance: dg.DagsterInstance, run_id: str, finished: threading.Event) -> None:
    cursor: str | None = None
    started: dict[str, float] = {}
    while True:
        last_look = finished.is_set()
        try:
            connection = instance.get_records_for_run(run_id, cursor=cursor)
        except DatabaseError:
            return  # the run reads the same history and reports the error
        cursor = connection.cursor
        for record in connection.records:
            _print_entry(record.event_log_entry, started)
        if last_look and not connection.has_more:
            return
        time.sleep(0 if connection.has_more else POLL_SECONDS)


def _print_entry(entry: dg.EventLogEntry, started: dict[str, float]) -> None:
    event, step = entry.dagster_event, entry.step_key or ""
    if event is None:
        # Dagster logs an error for each step skipped after a failure; showing the failure is enough
        if logging.INFO <= int(entry.level) < logging.ERROR:
            click.echo(f"      {entry.user_message}")
    elif event.event_type == dg.DagsterEventType.STEP_START:
        started[step] = entry.timestamp
        click.echo(f"  {step}")
    elif event.event_type == dg.DagsterEventType.STEP_SUCCESS:
        click.echo(f"      done in {entry.timestamp - started[step]:.1f} s")
    elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        check = event.asset_check_evaluation_data
        if not check.passed:
            warning = check.severity == dg.AssetCheckSeverity.WARN
            word, colour = ("warning", "yellow") if warning else ("check failed", "red")
            click.secho(f"      {word}: {check.check_name}: {check.description}", fg=colour)
    elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
        click.secho(f"      {step} failed: {reason_of(event)}", fg="red", err=True)
    elif event.event_type == dg.DagsterEventType.PIPELINE_FAILURE and not started:
        click.secho(f"      {entry.user_message}", fg="red", err=True)
