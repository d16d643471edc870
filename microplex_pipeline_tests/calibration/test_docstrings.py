"""The examples in docstrings run and print what they say."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("module", ["reweighter", "targets.table", "areas.geographic_reweighter"])
def test_examples_run(module):
    found = doctest.testmod(import_module(f"microplex_pipeline.calibration.{module}"))
    assert found.attempted > 0
    assert found.failed == 0
