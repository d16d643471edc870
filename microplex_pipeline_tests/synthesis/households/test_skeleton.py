import polars as pl
import pytest

from microplex_pipeline.synthesis import resample_households

NAMES = {"household_id": "household_id", "weight": "weight", "unit_id": "tax_unit_id"}


@pytest.fixture(scope="module")
def drawn(rhode_island):
    return resample_households(rhode_island, 5000, 0, **NAMES)


def test_households_are_drawn_by_weight(drawn, rhode_island):
    expected = (
        rhode_island.group_by("household_id", maintain_order=True)
        .agg(pl.col("weight").first())
        .with_columns(pl.col("weight") / pl.col("weight").sum() * 5000)
    )
    counts = drawn.group_by("source_household_id").agg(pl.col("household_id").n_unique())
    both = expected.join(
        counts, left_on="household_id", right_on="source_household_id", how="left"
    ).fill_null(0)
    assert (both["weight"] - both["household_id_right"]).abs().max() < 1
    assert drawn["household_id"].n_unique() == 5000


def test_members_stay_together_and_in_order(drawn, rhode_island):
    def compositions(frame, key):
        return frame.group_by(key, maintain_order=True).agg("age_head", "filing_status")

    real = compositions(rhode_island, "household_id")
    made = compositions(drawn, ["source_household_id", "household_id"])
    joined = made.join(real, left_on="source_household_id", right_on="household_id")
    assert joined.height == 5000
    assert (joined["age_head"] == joined["age_head_right"]).all()
    assert drawn["tax_unit_id"].is_unique().all()


def test_weights_add_up_to_the_households(drawn, rhode_island):
    first = {"keep": "first", "maintain_order": True}
    total = rhode_island.unique("household_id", **first)["weight"].sum()
    weights = drawn.unique("household_id", **first)["weight"]
    assert weights.n_unique() == 1
    assert weights.sum() == pytest.approx(total)


def test_seed_decides(rhode_island, drawn):
    assert resample_households(rhode_island, 5000, 0, **NAMES).equals(drawn)
    assert not resample_households(rhode_island, 5000, 1, **NAMES).equals(drawn)
