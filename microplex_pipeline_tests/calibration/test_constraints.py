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
        (("unit", "count", "units", "persons:9+", 5.0), r"no record carries: .*persons:9\+"),
        (("unit", "sum", "pensions", "all", 5.0), "lack column 'pensions'"),
        (("unit", "count", "units", "all", -5.0), "are negative counts"),
        (("unit", "count", "units", "all", float("nan")), "are not finite numbers"),
        (("unit", "mean", "wages", "all", 5.0), "measure other than count or sum"),
    ],
)
def test_bad_targets_are_named(row, message):
    with pytest.raises(CalibrationError, match=message):
        build_constraints(UNITS, targets(row), "household")


def test_duplicate_targets_are_named():
    row = ("unit", "count", "units", "all", 5.0)
    with pytest.raises(CalibrationError, match="stand twice in the table"):
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
        ({"g": {"a": 1.0}}, "categories of 'g' that no target names: b"),
        ({"g": {"a": 1.0, "b": 1.0, "c": 1.0}}, "no record has 'g' equal to: c"),
        ({"g": {"a": 1.0, "b": -1.0}}, "negative, NaN or infinite: b"),
        ({"g": {"a": 1.0, "b": float("inf")}}, "negative, NaN or infinite: b"),
    ],
)
def test_bad_margins_are_named(margins, message):
    with pytest.raises(CalibrationError, match=message):
        build_constraints(pl.DataFrame({"g": ["a", "b", "b"]}), margins)


def test_margins_must_agree_on_the_population():
    data = pl.DataFrame({"g": ["a", "b"], "s": ["x", "y"]})
    with pytest.raises(CalibrationError, match="totals disagree: g 30, s 25"):
        build_constraints(data, {"g": {"a": 10, "b": 20}, "s": {"x": 10, "y": 15}})


def test_no_records_is_said():
    with pytest.raises(CalibrationError, match="there are no records"):
        build_constraints(pl.DataFrame({"g": []}), {"g": {"a": 1}})
