"""How precisely targets are met: what columns mean, and which of them contradict each other."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import Targets
from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline.calibration.targets.precision import Precision

ROW = {"entity": "record", "measure": "count", "variable": "n", "domain": "all", "value": 200.0}


def one(**precision):
    return pl.DataFrame([ROW | precision], schema_overrides=dict.fromkeys(precision, pl.Float64))


@pytest.mark.parametrize(
    ("columns", "kind", "sizes"),
    [
        ({}, "exact", (0, 0, 0)),
        ({"standard_error": 5.0}, "penalized", (5, 0, 0)),
        ({"relative_standard_error": 0.1}, "penalized", (20, 0, 0)),
        ({"standard_error": 0.0}, "exact", (0, 0, 0)),
        ({"tolerance": 0.05}, "within", (0, 10, 10)),
        ({"at_least": 190.0, "at_most": 230.0}, "within", (0, 10, 30)),
        ({"at_least": 190.0}, "within", (0, 10, np.inf)),
        ({"at_most": 200.0}, "within", (0, np.inf, 0)),
        ({"standard_error": None, "tolerance": None, "importance": None}, "exact", (0, 0, 0)),
    ],
)
def test_columns_say_how_precisely_a_target_is_met(columns, kind, sizes):
    found = Targets(one(**columns)).precision()
    assert found.kinds == [kind]
    assert (found.standard_errors[0], found.below[0], found.above[0]) == sizes


def test_importance_divides_the_variance():
    found = Targets(one(standard_error=6.0, importance=4.0)).precision()
    assert found.standard_errors.tolist() == [6.0]
    assert found.variances.tolist() == [9.0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"standard_error": 5.0, "tolerance": 0.1}, "both a standard error and limits"),
        ({"relative_standard_error": 0.1, "at_most": 250.0}, "both a standard error and limits"),
        (
            {"standard_error": 5.0, "relative_standard_error": 0.1},
            "both a standard_error and a rel",
        ),
        ({"tolerance": 0.1, "at_least": 150.0}, "both a tolerance and at_least or at_most"),
        ({"at_least": 201.0}, "an at_least that is above their value"),
        ({"at_most": 199.0}, "an at_most that is below their value"),
        ({"at_most": float("nan")}, "an at_most that is below their value, or not a number"),
        ({"standard_error": 1.0, "importance": 0.0}, "an importance that is not above 0"),
        ({"importance": 2.0}, "an importance, which goes with a standard error, but none"),
        ({"relative_standard_error": -1.0}, "negative or infinite relative_standard_error"),
    ],
)
def test_what_cannot_be_meant_is_refused(columns, message):
    with pytest.raises(CalibrationError, match=f"{message}.*: record count n"):
        Targets(one(**columns))


def test_limits_are_narrowed_by_rounding_and_no_more():
    limits = np.array([0.0, 1e-9, 5.0, np.inf])
    precision = Precision(np.zeros(4), limits, limits[::-1].copy(), np.ones(4))
    narrow = precision.narrowed(np.full(4, 100.0))
    assert narrow.below.tolist() == [0.0, 5e-10, 5.0 - 2e-5, np.inf]
    assert narrow.above.tolist() == [np.inf, 5.0 - 2e-5, 5e-10, 0.0]
