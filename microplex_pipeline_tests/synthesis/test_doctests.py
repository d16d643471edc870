"""The examples in the docstrings give the results that they show."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("module", ["sampling", "synthesis.synthesizer"])
def test_examples_run(module):
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    results = doctest.testmod(import_module(f"microplex_pipeline.{module}"), optionflags=flags)
    assert results.attempted > 0
    assert results.failed == 0
