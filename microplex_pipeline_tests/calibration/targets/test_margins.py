"""Margins as dicts, series and frames."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from microplex_pipeline import Reweighter
from microplex_pipeline.calibration import CalibrationError, build_constraints

PEOPLE = pl.DataFrame({"g": ["a", "b", "a", "b"], "h": [1, 1, 2, 2]})
DICT = {"g": {"a": 6.0, "b": 4.0}, "h": {1: 3.0, 2: 7.0}}
LONG = pl.DataFrame(
    {"variable": ["g", "g"], "category": ["a", "b"], "value": [6.0, 4.0], "note": ["x", "y"]}
)


@pytest.mark.parametrize(
    "targets",
    [
        {"g": pd.Series({"a": 6.0, "b": 4.0}), "h": pd.Series([3.0, 7.0], index=[1, 2])},
        {"g": pl.DataFrame({"c": ["a", "b"], "n": [6.0, 4.0]}), "h": DICT["h"]},
        {"g": pd.DataFrame({"c": ["a", "b"], "n": [6, 4]}), "h": pa.table({"c": [1, 2], "n": [3, 7]})},
    ],
    ids=["series", "polars", "pandas and pyarrow"],
)  # fmt: skip
def test_margins_of_other_kinds_are_the_same(targets):
    expected, found = build_constraints(PEOPLE, DICT), build_constraints(PEOPLE, targets)
    np.testing.assert_array_equal(found.matrix.toarray(), expected.matrix.toarray())
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.names == expected.names == ["g=a", "g=b", "h=1", "h=2"]
    weights = Reweighter().fit(PEOPLE, targets).weights_
    np.testing.assert_allclose(expected.achieved(weights), expected.values)


@pytest.mark.parametrize("kind", [lambda f: f, pl.DataFrame.to_pandas, pl.DataFrame.lazy])
def test_a_long_frame_of_margins(kind):
    found = build_constraints(PEOPLE, kind(LONG))
    assert found.names == ["g=a", "g=b"]
    assert found.matrix.toarray().tolist() == [[1, 0, 1, 0], [0, 1, 0, 1]]


def test_missing_values_are_a_category():
    some = pl.DataFrame({"g": ["b", None, "a", None]})
    found = build_constraints(some, {"g": {"b": 1, None: 5, "a": 2}})
    assert found.matrix.toarray().tolist() == [[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0]]


def test_margins_of_households_count_records():
    some = PEOPLE.with_columns(household=pl.Series([7, 7, 9, 9]))
    found = build_constraints(some, DICT, "household")
    assert found.matrix.toarray().tolist() == [[1, 1], [1, 1], [2, 0], [0, 2]]


def test_margins_with_different_totals_are_rescaled_if_asked():
    apart = {"g": {"a": 6.0, "b": 4.0}, "h": {1: 3.0, 2: 7.004}}
    with pytest.raises(CalibrationError, match=r'g 10, h 10.004.*set margins="rescale"'):
        Reweighter().fit(PEOPLE, apart)
    fitted = Reweighter(margins="rescale").fit(PEOPLE, apart)
    np.testing.assert_allclose(fitted.constraints_.values, [6, 4, 30 / 10.004, 70.04 / 10.004])
    with pytest.raises(ValueError, match="margins must be one of"):
        Reweighter(margins="scale")
    nothing = {"g": {"a": 6.0, "b": 4.0}, "h": {1: 0.0, 2: 0.0}}
    with pytest.raises(CalibrationError, match="different totals"):
        Reweighter(margins="rescale").fit(PEOPLE, nothing)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([1, 2], "must be a dict .* or a Targets table, not list"),
        (LONG.drop("value"), "columns variable, category, value"),
        (pl.concat([LONG, LONG[:1]]), "'g' have categories twice: 'a'"),
        ({"g": pd.Series([1.0, 2.0, 3.0], index=["a", "b", "b"])}, "categories twice: 'b'"),
        ({"g": [6.0, 4.0]}, "'g' must be a dict .*, a pandas series or a frame of two columns"),
        ({"g": {"a": 10**400, "b": 1}}, "g=a is not a number: a whole number of 1329 bits"),
        ({"g": {"a": "6 million", "b": 1}}, "g=a is not a number: '6 million'"),
    ],
)
def test_what_is_no_margin_is_named(targets, message):
    with pytest.raises(CalibrationError, match=message):
        build_constraints(PEOPLE, targets)
