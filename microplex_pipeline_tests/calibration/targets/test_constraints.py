import numpy as np
import polars as pl
import pytest

from microplex_pipeline.calibration import CalibrationError, Targets, build_constraints

UNITS = pl.DataFrame(
    {
        "household": [7, 7, 3, 9, 9, 9],
        "persons": [2, 1, 4, 1, 1, 3],
        "income": [10, 10, 50, 0, 0, 0],
        "wages": [8, 2, 50, 0, -1, 1],
    }
)


def targets(*rows, **extra):
    names = ["entity", "measure", "variable", "domain", "value"]
    return Targets(pl.DataFrame(rows, schema=names, orient="row").with_columns(**extra))


def test_entities_count_up_to_the_household():
    table = targets(
        ("household", "count", "households", "all", 1.0),
        ("household", "count", "households", "income:<=10", 1.0),
        ("unit", "count", "units", "all", 1.0),
        ("unit", "sum", "persons", "all", 1.0),
        ("unit", "sum", "wages", "persons:1", 1.0),
    )
    constraints = build_constraints(UNITS, table, "household")
    np.testing.assert_array_equal(
        constraints.matrix.toarray(),
        # households in order of appearance: 7, 3, 9
        [[1, 1, 1], [1, 0, 1], [2, 1, 3], [3, 4, 5], [2, 0, -1]],
    )
    assert constraints.names[3] == "unit sum persons [all]"


def test_without_households_every_row_has_a_weight():
    constraints = build_constraints(UNITS, targets(("unit", "sum", "persons", "all", 12.0)))
    np.testing.assert_array_equal(constraints.matrix.toarray(), [[2, 1, 4, 1, 1, 3]])
    np.testing.assert_allclose(constraints.relative_errors(np.ones(6)), [0.0])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            ("unit", "count", "units", "persons:9+", 5.0),
            r"no record contributes to: .*persons:9\+",
        ),
        (("unit", "sum", "pensions", "all", 5.0), "lack column 'pensions'"),
        (("unit", "count", "units", "all", -5.0), "are negative counts"),
        (("unit", "count", "units", "all", float("nan")), "are not finite numbers"),
        (
            ("unit", "median", "wages", "all", 5.0),
            "measure other than count or sum or mean or ratio",
        ),
    ],
)
def test_bad_targets_are_named(row, message):
    with pytest.raises(CalibrationError, match=message):
        build_constraints(UNITS, targets(row), "household")


def test_duplicate_targets_are_named():
    row = ("unit", "count", "units", "all", 5.0)
    with pytest.raises(CalibrationError, match="are more than once in the table"):
        targets(row, row)


def test_a_targets_table_needs_its_columns():
    with pytest.raises(CalibrationError, match="lack columns: domain, value"):
        Targets(pl.DataFrame({"entity": ["a"], "measure": ["count"], "variable": ["v"]}))


@pytest.mark.parametrize(
    ("margins", "message"),
    [
        ({}, "there are no targets"),
        ({"g": {}}, "there are no targets"),
        ({"h": {"a": 1}}, "lack column 'h'"),
        ({"g": {"a": 1.0}}, "categories of 'g' that have no target: 'b'"),
        ({"g": {"a": 1.0, "b": 1.0, "c": 1.0}}, "no record has 'g' equal to: 'c'"),
        ({"g": {"a": 1.0, "b": -1.0}}, "of g=b is negative, NaN or infinite: -1"),
        ({"g": {"a": 1.0, "b": None}}, "of g=b is not a number: None"),
        ({"g": {"a": 1.0, "b": "many"}}, "of g=b is not a number: 'many'"),
        ({"g": {"a": 1.0, "b": float("inf")}}, "of g=b is negative, NaN or infinite: inf"),
        ([1, 2], "must be a dict .* or a Targets table, not list"),
        ({"n": {"1": 1.0}}, r"no record has 'n' equal to: '1' \(the column has type Int64, with"),
    ],
)
def test_bad_margins_are_named(margins, message):
    with pytest.raises(CalibrationError, match=message):
        build_constraints(pl.DataFrame({"g": ["a", "b", "b"], "n": [1, 1, 1]}), margins)


def test_margins_must_agree_on_the_population():
    data = pl.DataFrame({"g": ["a", "b"], "s": ["x", "y"]})
    with pytest.raises(CalibrationError, match="have different totals: g 30, s 25"):
        build_constraints(data, {"g": {"a": 10, "b": 20}, "s": {"x": 10, "y": 15}})


def test_an_empty_frame_is_refused():
    with pytest.raises(CalibrationError, match="there are no records"):
        build_constraints(pl.DataFrame({"g": []}), {"g": {"a": 1}})


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        (["a", None, "a"], {"a": 2.0, None: 1.0}),
        ([True, False, True], {True: 2.0, False: 1.0}),
        ([3, 7, 3], {3: 2.0, 7: 1.0, 9: 0.0}),
        (pl.Series(["a", "b", "a"], dtype=pl.Categorical), {"a": 2.0, "b": 1.0}),
    ],
    ids=["missing", "truth", "number", "categorical"],
)
def test_categories_may_be_of_any_kind(column, cells):
    constraints = build_constraints(pl.DataFrame({"g": column}), {"g": cells})
    np.testing.assert_allclose(constraints.relative_errors(np.ones(3)), 0.0)


def test_missing_values_in_a_summed_column_are_named_only_where_they_count():
    data = pl.DataFrame({"x": [1.0, float("nan"), 3.0], "age": [20, 30, 40]})
    with pytest.raises(CalibrationError, match="'x', which is missing or not finite in 1 of"):
        build_constraints(data, targets(("unit", "sum", "x", "all", 4.0)))
    build_constraints(data, targets(("unit", "sum", "x", "age:35+", 3.0)))


def test_nan_lies_in_no_range():
    data = pl.DataFrame({"x": [1.0, float("nan"), 3.0]})
    constraints = build_constraints(data, targets(("unit", "count", "n", "x:2+", 1.0)))
    np.testing.assert_array_equal(constraints.matrix.toarray(), [[0, 0, 1]])


def test_household_targets_need_household_numbers():
    row = ("household", "count", "households", "all", 2.0)
    with pytest.raises(
        CalibrationError, match="pass the column of household numbers as household_id"
    ):
        build_constraints(UNITS, targets(row))
    with pytest.raises(CalibrationError, match="'household' is missing in 1 records"):
        build_constraints(
            UNITS.with_columns(household=pl.Series([7, 7, 3, 9, 9, None])),
            targets(row),
            "household",
        )


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("domain", [None], "'domain' of the targets must be text"),
        ("measure", [None], "'measure' of the targets must be text"),
        ("value", ["3,000"], "'value' of the targets must be numbers"),
    ],
)
def test_a_targets_table_has_types(column, values, message):
    row = {
        "entity": ["u"],
        "measure": ["count"],
        "variable": ["n"],
        "domain": ["all"],
        "value": [1.0],
    }
    with pytest.raises(CalibrationError, match=message):
        Targets(pl.DataFrame({**row, column: values}))
