import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.cohorts import moved_ages, read_life_table

GROUPS = [(k, k + 4) for k in range(0, 85, 5)] + [(85, None)]
FLAT = dict.fromkeys(GROUPS, 100.0)
REFERENCE = "reference_state_2022_2024.csv.gz"


@pytest.fixture(scope="module")
def survival(data):
    return read_life_table(data / "targets" / "life_table_1999_2001.csv")


def test_without_deaths_everyone_grows_older():
    groups = FLAT | {(40, 44): 600.0}
    moved = moved_ages(groups, 3, np.full(110, 1 - 1e-12))
    assert moved[43:48] == pytest.approx([120.0] * 5)
    assert moved[42] == pytest.approx(20.0)
    assert moved[:3] == pytest.approx([20.0] * 3)  # as many births as persons of an age below 5


@given(st.lists(st.floats(1, 1e6), min_size=18, max_size=18), st.integers(0, 20))
def test_moved_back_again_the_survivors_are_the_same(values, years):
    survival = 1 - np.linspace(0.001, 0.3, 110)
    there = moved_ages(dict(zip(GROUPS, values, strict=True)), years, survival)
    back = there
    for _ in range(years):
        back = np.concatenate([back[1:] / survival[:-1], [0.0]])
    start = moved_ages(dict(zip(GROUPS, values, strict=True)), 0, survival)
    alive = slice(0, 110 - years)
    assert back[alive] == pytest.approx(start[alive])


def test_years_without_change_keep_the_groups(survival):
    moved = moved_ages(FLAT, 0, survival)
    assert [moved[a : (b or 109) + 1].sum() for a, b in GROUPS] == pytest.approx([100.0] * 18)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({k: v for k, v in FLAT.items() if k != (5, 9)}, "after 4 comes 10"),
        (FLAT | {(3, 9): 1.0}, "leave out or repeat ages"),
        ({k: v for k, v in FLAT.items() if k[1]}, "there is no open group, like 85\\+"),
    ],
)
def test_groups_with_gaps_are_refused(groups, message, survival):
    with pytest.raises(CalibrationError, match=message):
        moved_ages(groups, 1, survival)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.filter(pl.col("age") != 7), "the ages are not 0, 1, 2"),
        (lambda t: t.with_columns(death_rate=pl.lit(1.5)), "death_rate of age 0"),
    ],
)
def test_a_life_table_with_faults_is_refused(change, message, data, tmp_path):
    table = pl.read_csv(data / "targets" / "life_table_1999_2001.csv")
    change(table).write_csv(tmp_path / "t.csv")
    with pytest.raises(CalibrationError, match=message):
        read_life_table(tmp_path / "t.csv")


def test_ages_of_2018_moved_to_2023_are_near_the_published_ones(data, survival):
    published = data.parents[1] / "shared" / "data" / "targets" / REFERENCE
    if not published.exists():
        pytest.skip(f"{REFERENCE} is not beside the project")
    first = pl.col("domain").str.extract(r"age:(\d+)").cast(pl.Int64).alias("first")
    later = (
        pl.read_csv(published, infer_schema=False)
        .filter(pl.col("year") == "2023", pl.col("domain").str.starts_with("age:"))
        .select("state", first, pl.col("value").cast(pl.Float64))
    )
    known = pl.read_csv(data / "targets" / "bundled_state_age_2018.csv").select(
        "state", first, "value"
    )
    persons = pl.read_csv(data / "population_growth.csv").filter(pl.col("year") == 2023)
    of_state = dict(persons.select("state", "persons").iter_rows())
    old, young, errors = [0.0, 0.0], [0.0, 0.0], []
    for state in later["state"].unique():
        values = dict(known.filter(pl.col("state") == state).select("first", "value").iter_rows())
        groups = {(a, b): values[a] for a, b in GROUPS}
        moved = moved_ages(groups, 5, survival)
        moved *= of_state[state] / moved.sum()
        now = later.filter(pl.col("state") == state)
        old_now = now.filter(pl.col("first") >= 65)["value"].sum()
        errors.append(moved[65:].sum() / old_now - 1)
        old = [old[0] + moved[65:].sum(), old[1] + old_now]
        young_now = now.filter(pl.col("first") < 15)["value"].sum()
        young = [young[0] + moved[:15].sum(), young[1] + young_now]
    assert abs(old[0] / old[1] - 1) < 0.02
    assert abs(young[0] / young[1] - 1) < 0.02
    assert np.mean(np.abs(errors)) < 0.04
