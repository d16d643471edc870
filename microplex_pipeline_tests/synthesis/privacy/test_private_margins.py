import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex_pipeline.synthesis.privacy.private_heaping import heaped_numbers, heaping_shares
from microplex_pipeline.synthesis.privacy.private_margins import (
    Cells,
    noisy_counts,
    number_cells,
    stand_in_records,
)
from microplex_pipeline.synthesis.transforms.heaping import DECADES, LEVELS

AMOUNT = number_cells("wage", -5_000, 200_000, whole=False, null=False, amount=True)
AGE = number_cells("age", 0, 90, whole=True, null=True, amount=False)
SEX = Cells("sex", ("f", "m"), None, 0.0, False)


def counted(cells, values, seed=0, noise=5.0):
    column = pl.Series(cells.name, values)
    return noisy_counts(cells, column, np.ones(len(values)), noise, np.random.default_rng(seed))


@given(st.lists(st.floats(-5_000, 200_000), min_size=1, max_size=30), st.data())
def test_one_record_changes_one_count_by_its_weight(values, data):
    without = data.draw(st.integers(0, len(values) - 1))
    whole, fewer = counted(AMOUNT, values), counted(AMOUNT, np.delete(values, without))
    change = np.abs(whole - fewer)
    assert change.max() == pytest.approx(1)
    assert change.sum() == pytest.approx(1)


@given(st.lists(st.integers(-300_000, 300_000), min_size=1, max_size=30), st.data())
def test_one_record_changes_one_count_of_heaping(grid, data):
    # shares are post-processed: with the same noise they can only differ in one decade
    without = data.draw(st.integers(0, len(grid) - 1))
    found = [
        heaping_shares(np.array(x, float), np.ones(len(x)), 3.0, np.random.default_rng(1))
        for x in (grid, np.delete(grid, without))
    ]
    assert (np.abs(found[0] - found[1]).sum(axis=1) > 0).sum() <= 1


@pytest.mark.parametrize("value", [-5_001, 200_001])
def test_a_value_outside_of_the_bounds_is_refused(value):
    with pytest.raises(ValueError, match="'wage' holds a value outside of its bounds"):
        AMOUNT.of(pl.Series([1.0, value]))


def test_an_unknown_category_and_an_unexpected_null_are_refused():
    with pytest.raises(ValueError, match="'sex' holds 'x', which is not among its categories"):
        SEX.of(pl.Series(["f", "x"]))
    with pytest.raises(ValueError, match="'sex' is missing in 1 rows"):
        SEX.of(pl.Series(["f", None]))


def test_nan_counts_as_missing():
    assert AGE.of(pl.Series([0.0, float("nan"), None])).tolist() == [0, 91, 91]


def test_cells_do_not_overlap_and_zero_is_alone():
    lower, upper = np.array(AMOUNT.values), np.array(AMOUNT.upper)
    assert (np.diff(lower) > 0).all()
    zero = AMOUNT.values.index(0.0)
    np.testing.assert_array_equal(np.delete(upper, zero)[:-1], np.delete(lower[1:], zero))
    assert upper[zero] == 0
    assert AMOUNT.of(pl.Series([0.0, 1.0, -1.0, 200_000.0])).tolist() == [
        zero, zero + 1, zero - 1, len(lower) - 1,
    ]  # fmt: skip


def test_stand_ins_have_the_distribution_of_the_column():
    rng = np.random.default_rng(0)
    n = 20_000
    wage = np.where(rng.random(n) < 0.3, 0, np.round(rng.lognormal(10, 0.8, n), -2)).clip(0, 2e5)
    data = pl.DataFrame(
        {"wage": wage, "age": rng.integers(18, 91, n), "sex": rng.choice(["f", "m"], n)}
    )
    found = stand_in_records(data, [AMOUNT, AGE, SEX], np.ones(n), n, 10.0, rng)
    assert found.height == n
    assert (found["wage"] == 0).mean() == pytest.approx(0.3, abs=0.01)
    for q in (0.5, 0.8, 0.95):
        assert found["wage"].quantile(q) == pytest.approx(data["wage"].quantile(q), rel=0.06)
    hundreds = found.filter(pl.col("wage") > 0)["wage"] % 100 == 0
    assert hundreds.mean() > 0.9
    assert found["age"].mean() == pytest.approx(54, abs=0.5)
    assert found["sex"].value_counts(sort=True)["count"].max() / n < 0.53


@pytest.mark.parametrize("wage", [0.0, 150_000.0])
def test_classes_do_not_depend_on_the_records(wage):
    n = 500
    data = pl.DataFrame({"wage": [wage] * n, "age": [30] * n, "sex": ["f"] * n})
    rng = np.random.default_rng(0)
    found = stand_in_records(data, [AMOUNT, AGE, SEX], np.ones(n), n, 1.0, rng)
    assert set(np.sign(found["wage"])) == {-1, 0, 1}
    assert set(found["sex"]) == {"f", "m"}
    assert found["age"].null_count() >= 1


@given(
    st.integers(1, 200_000), st.floats(1.05, 1.5), st.integers(0, 300),
    st.integers(0, len(LEVELS) - 1),
)  # fmt: skip
def test_heaped_numbers_lie_in_their_cell(low, ratio, count, level):
    high = max(low + 1, np.ceil(low * ratio))
    shares = np.tile(np.eye(len(LEVELS))[level], (len(DECADES), 1))
    found = heaped_numbers(low, high, count, shares)
    assert len(found) == count
    assert ((found >= low) & (found < high)).all()
    if np.ceil(low / LEVELS[level]) * LEVELS[level] < high:
        assert (found % LEVELS[level] == 0).all()
