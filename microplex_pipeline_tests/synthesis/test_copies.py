"""Drawn records that copy a given record are drawn again."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import Synthesizer
from microplex_pipeline.evaluation.disclosure import whole_record_copies

TARGETS, CONDITIONS = ["wage", "benefit"], ["age"]


@pytest.fixture(scope="module")
def people():
    """Amounts with few distinct values, so that records often coincide."""
    rng = np.random.default_rng(0)
    n = 1500
    return pl.DataFrame(
        {
            "age": rng.integers(20, 50, n),
            "wage": rng.choice([0, *range(1000, 15000, 1000)], n),
            "benefit": rng.choice([0, *range(500, 9000, 500)], n),
            "weight": 1.0,
        }
    )


@pytest.fixture(scope="module")
def fitted(people):
    return Synthesizer(TARGETS, CONDITIONS, seed=0).fit(people, epochs=3)


def copies(people, drawn):
    return whole_record_copies(people, drawn, TARGETS, CONDITIONS)


@pytest.mark.parametrize("draws", ["stratified", "independent"])
def test_copies_are_redrawn_and_nothing_else_changes(people, fitted, draws):
    ages = people.select("age", name=pl.int_range(pl.len()))
    free = fitted.generate(ages, 1, draws=draws)
    apart = fitted.generate(ages, 1, draws=draws, no_copies_of=people)
    assert copies(people, free) > 0.1
    assert copies(people, apart) == 0
    assert apart.select("age", "name").equals(ages)
    key = [*CONDITIONS, *TARGETS]
    were_copies = free.join(
        people.filter(pl.col("wage") != 0, pl.col("benefit") != 0), on=key, how="semi"
    )["name"]
    kept = ~pl.col("name").is_in(were_copies.implode())
    assert apart.filter(kept).equals(free.filter(kept))
    # many people with at most one amount have equal records: these are not redrawn
    for frame in (free, apart):
        assert (frame["wage"] == 0).mean() == pytest.approx((people["wage"] == 0).mean(), abs=0.03)


def test_same_seed_same_records(people, fitted):
    ages = people.select("age")
    first, again, other = (fitted.generate(ages, s, no_copies_of=people) for s in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_frames_of_other_kinds_and_types_are_accepted(people, fitted):
    types = {"wage": pl.Float32, "benefit": pl.Int16, "age": pl.UInt8}
    narrow = people.cast(types)
    drawn = fitted.generate(people.select("age").to_pandas(), 1, no_copies_of=narrow.to_arrow())
    assert copies(people, pl.from_pandas(drawn)) == 0


def test_missing_conditions_count_as_equal():
    rng = np.random.default_rng(1)
    n = 400
    people = pl.DataFrame(
        {
            "age": pl.Series(rng.choice([np.nan, 30.0, 40.0], n)).fill_nan(None),
            "wage": rng.choice(np.arange(1, 40) * 100, n),
            "benefit": rng.choice(np.arange(1, 40) * 100, n),
            "weight": 1.0,
        }
    )
    model = Synthesizer(TARGETS, CONDITIONS, seed=0).fit(people, epochs=2)
    drawn = model.generate(people.select("age"), 1, no_copies_of=people)
    assert copies(people, model.generate(people.select("age"), 1)) > 0
    assert copies(people, drawn) == 0


def test_conditions_that_allow_only_copies_and_missing_columns_are_refused(people):
    alike = pl.DataFrame(
        {"age": [30] * 50, "wage": [100] * 50, "benefit": [200] * 50, "weight": 1.0}
    )
    model = Synthesizer(TARGETS, CONDITIONS, seed=0, tail_factor=1.0).fit(alike, epochs=1)
    every = pl.DataFrame({"wage": range(1, 300)}).join(
        pl.DataFrame({"benefit": range(1, 500)}), how="cross"
    )
    with pytest.raises(
        ValueError, match="were copies in each of 50 draws: their conditions allow no"
    ):
        model.generate(alike.select("age"), 1, no_copies_of=every.with_columns(age=pl.lit(30)))
    with pytest.raises(ValueError, match="benefit"):
        model.generate(alike.select("age"), 1, no_copies_of=alike.drop("benefit"))


def test_records_that_cannot_be_copied_are_ignored_and_text_is_refused(people, fitted):
    ages = people.select("age")
    free = fitted.generate(ages, 1)
    odd = pl.DataFrame({"age": [18.5, 1e30], "wage": [1000.5, 2000.0], "benefit": [500.0, 1e30]})
    assert fitted.generate(ages, 1, no_copies_of=odd).equals(free)
    with pytest.raises(ValueError, match="no_copies_of: wage has type String"):
        fitted.generate(ages, 1, no_copies_of=odd.with_columns(wage=pl.lit("many")))
