import numpy as np
import polars as pl
import pytest

from microplex_pipeline.calibration import CalibrationError, build_constraints
from microplex_pipeline_tests.calibration.targets.target_table import table

UNITS = pl.DataFrame(
    {
        "household": [7, 7, 3],
        "status": [4, 1, 2],
        "ratio": [0.8, 1.0, 3.5],
        "ages": [[40, 10, 17], [65], [66, 70]],
    },
    schema_overrides={"ages": pl.List(pl.UInt8)},
)


def rows(*domains):
    targets = table([("person", "count", "persons", d, 1.0) for d in domains])
    return build_constraints(UNITS, targets, "household").matrix.toarray().tolist()


def test_persons_are_counted_by_age_and_by_what_their_unit_is():
    assert rows(
        "all", "age:0-17", "age:65+", "age:<=17|status:4", "age:>65", "ratio:<1", "age:40|ratio:<1"
    ) == [[4, 2], [2, 0], [1, 2], [2, 0], [0, 2], [3, 0], [1, 0]]


def test_age_groups_add_up_to_persons():
    groups = np.array(rows("age:0-17", "age:18-64", "age:65+"))
    np.testing.assert_array_equal(groups.sum(axis=0), rows("all")[0])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("person", "sum", "wages", "age:65+", 1.0), "persons can be counted only"),
        (
            ("person", "count", "persons", "age:old", 1.0),
            "'old' is not a number or a range",
        ),
        (
            ("person", "count", "persons", "height:1", 1.0),
            "column 'height', which the records lack",
        ),
        (("person", "count", "persons", "age:90+", 1.0), r"no record contributes to: .*age:90\+"),
    ],
)
def test_bad_targets_of_persons_are_named(row, message):
    with pytest.raises(CalibrationError, match=message):
        build_constraints(UNITS, table([row]), "household")


def test_records_without_ages_are_persons_themselves():
    people = pl.DataFrame({"age": [3, 30, 70]})
    targets = table([("person", "count", "persons", "age:18+", 2.0)])
    assert build_constraints(people, targets).matrix.toarray().tolist() == [[0, 1, 1]]
