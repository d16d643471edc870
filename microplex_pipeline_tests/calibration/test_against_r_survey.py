"""Weights equal those of R's survey package on Rhode Island 2014 (made by reference/make.py)."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import Reweighter, Targets

REFERENCE = Path(__file__).parent / "reference"
METHODS = {
    "linear": {"distance": "chi2"},
    "linear_bounded": {"distance": "chi2", "bounds": (0.75, 1.6)},
    "raking": {"distance": "raking"},
    "logit": {"distance": "logit", "bounds": (0.5, 2.0)},
}


@pytest.fixture(scope="module")
def reference():
    return pl.read_parquet(REFERENCE / "rhode_island.parquet")


@pytest.fixture(scope="module")
def targets():
    return Targets(pl.read_parquet(REFERENCE / "rhode_island_targets.parquet"))


@pytest.mark.parametrize("method", METHODS)
def test_weights_equal_those_of_survey(reference, targets, method):
    fitted = Reweighter(**METHODS[method]).fit(reference, targets, "weight")
    np.testing.assert_allclose(fitted.weights_, reference[method].to_numpy(), rtol=1e-8)


def test_the_reference_has_weights_at_both_bounds(reference):
    ratio = (reference["linear_bounded"] / reference["weight"]).to_numpy()
    assert np.isclose(ratio, 0.75, rtol=1e-12).sum() > 10
    assert np.isclose(ratio, 1.6, rtol=1e-12).sum() > 5
