"""Random histories of a project: a short form of `python -m benchmarks.current`."""

import logging

import dagster as dg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.current_machine import PARTITIONS, Current
from benchmarks.current_project import SCHEMA
from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.execution.runs import run_job


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(Current, "counts", {})
    logging.disable(logging.CRITICAL)
    Current.prepare(tmp_path)
    yield Current
    logging.disable(logging.NOTSET)


def test_random_histories_call_nothing_wrong_current(machine):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=2,
            stateful_step_count=2,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )
    assert machine.counts["partition compared"] > 0


def test_the_machine_finds_rows_that_are_wrong_and_called_current(machine, monkeypatch):
    """If a change of the seed went unnoticed, the machine would say so."""
    monkeypatch.setattr("microplex_pipeline.defs.out_of_date.Comparison._own", lambda *_: [])
    history = machine()
    history.start()
    history.build_one(PARTITIONS[0])
    history.nothing_wrong_is_current()
    history.change_settings(seed=1, least=200)
    with pytest.raises(AssertionError, match="national_survey of 2016 is not current"):
        history.nothing_wrong_is_current()
    history.teardown()


def test_a_schema_that_is_edited_between_two_steps_and_put_back_is_noticed(machine):
    """Targets carry the schema's title; the survey's own record says nothing of the edit."""
    history = machine()
    history.start()
    _, state, _ = PARTITIONS
    with dg.DagsterInstance.from_config(str(history.folder / "home")) as instance:

        def run(*assets):
            definitions = build_definitions(history.settings)
            assert run_job(
                history.settings, instance, definitions, "build_state", state, assets=assets
            ).success

        run("raw_survey", "survey")
        history._write(SCHEMA, 1)
        run("targets")
        history._write(SCHEMA, 0)
    history.nothing_wrong_is_current()
    history.teardown()
