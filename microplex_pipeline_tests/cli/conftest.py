"""Fixtures to run commands on a project that is built."""

import pytest
from click.testing import CliRunner

from microplex_pipeline.cli import main
from microplex_pipeline_tests.conftest import variables


@pytest.fixture
def microplex(backfilled, monkeypatch):
    """A function that runs a command on the project with Rhode Island and Vermont 2014."""
    for name, value in variables(backfilled.folder).items():
        monkeypatch.setenv(name, value)
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def warehouse(backfilled):
    return backfilled.folder / "w.duckdb"
