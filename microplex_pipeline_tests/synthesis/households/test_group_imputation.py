"""Imputation in groups: members given the other members, groups given all of them."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import HierarchicalSynthesizer, HouseholdSchema

SCHEMA = HouseholdSchema(
    ["job", "wage"], ["age"], group_target_vars=["aid"], discrete_vars=["job"],
    derived_vars={"income": "sum:wage"},
)  # fmt: skip


def households(n: int, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return couples who have the same job, which decides wages; the poor get aid."""
    rng = np.random.default_rng(seed)
    job = np.repeat(rng.choice(["a", "b"], n), 2)
    wage = np.exp(np.where(job == "a", 9.5, 10.5) + 0.3 * rng.normal(size=2 * n)).round(-1)
    income = wage.reshape(n, 2).sum(axis=1)
    members = pl.DataFrame(
        {
            "household_id": np.repeat(np.arange(n), 2),
            "person_id": np.arange(2 * n),
            "age": rng.integers(20, 60, 2 * n),
            "job": job,
            "wage": wage.astype(int),
        }
    )
    aid = np.where(income < 35_000, 1_000 * rng.integers(1, 9, n), 0)
    return pl.DataFrame({"household_id": np.arange(n), "weight": 1.0, "aid": aid}), members


@pytest.fixture(scope="module")
def synthesizer() -> HierarchicalSynthesizer:
    return HierarchicalSynthesizer(SCHEMA, seed=0).fit(*households(1_500), epochs=30)


def first_is(members: pl.DataFrame, **values: object) -> pl.DataFrame:
    """Return members of whom the first of each couple has other values."""
    first = pl.int_range(pl.len()) % 2 == 0
    return members.with_columns(
        pl.when(first).then(pl.lit(value)).otherwise(name).cast(members.schema[name]).alias(name)
        for name, value in values.items()
    )


def test_a_member_is_drawn_given_a_later_one(synthesizer):
    """The first one's job is that of the second, who is observed."""
    groups, members = households(200, seed=1)
    lost = first_is(members, job=None, wage=None)
    _, filled = synthesizer.impute(groups, lost, seed=0)
    same = filled["job"].gather_every(2) == filled["job"].gather_every(2, 1)
    assert same.mean() > 0.95
    assert filled.schema == members.schema
    second = pl.int_range(pl.len()) % 2 == 1
    assert filled.filter(second).equals(members.filter(second))
    again = synthesizer.impute(groups, lost, seed=0)[1]
    assert again.equals(filled)


def test_alone_a_member_does_not_know_the_other(synthesizer):
    groups, members = households(200, seed=1)
    _, filled = synthesizer.impute(
        groups, first_is(members, job=None, wage=None), seed=0, particles=1
    )
    same = filled["job"].gather_every(2) == filled["job"].gather_every(2, 1)
    assert 0.3 < same.mean() < 0.7


def test_members_are_drawn_given_the_group_s_target(synthesizer):
    """Nothing is known of the couple but whether it gets aid."""
    groups, members = households(300, seed=2)
    nothing = members.with_columns(
        pl.lit(None).cast(members.schema[name]).alias(name) for name in ("job", "wage")
    )
    _, filled = synthesizer.impute(groups, nothing, seed=0)
    income = filled.group_by("household_id", maintain_order=True).agg(pl.col("wage").sum())["wage"]
    with_aid = groups["aid"] > 0
    assert (income.filter(with_aid) < 35_000).mean() > 0.9
    assert (income.filter(~with_aid) >= 35_000).mean() > 0.9


def test_targets_of_groups_are_filled_too(synthesizer):
    groups, members = households(300, seed=3)
    unknown = groups.with_columns(pl.lit(None, pl.Int64).alias("aid"))
    filled, same = synthesizer.impute(unknown, members, seed=0)
    assert same.equals(members)
    poor = (
        members.group_by("household_id", maintain_order=True).agg(pl.col("wage").sum())["wage"]
        < 35_000
    )
    assert ((filled["aid"] > 0) == poor).mean() > 0.9


def test_a_fit_takes_members_with_missing_values():
    groups, members = households(1_500)
    rng = np.random.default_rng(0)
    lost = members.with_columns(
        pl.when(pl.Series(rng.random(members.height) > 0.3)).then(name).alias(name)
        for name in ("job", "wage")
    )
    schema = HouseholdSchema(
        ["job", "wage"], ["age"], discrete_vars=["job"],
        missing={"job": "at_random", "wage": "at_random"},
    )  # fmt: skip
    synthesizer = HierarchicalSynthesizer(schema, seed=0).fit(groups, lost, epochs=30)
    _, filled = synthesizer.impute(groups, lost, seed=0, particles=8)
    assert sum(filled.null_count().row(0)) == 0
    job = lost["job"].is_null()
    assert (filled.filter(job)["job"] == members.filter(job)["job"]).mean() > 0.85


def test_what_cannot_be_imputed_is_refused(synthesizer):
    groups, members = households(20, seed=1)
    with pytest.raises(ValueError, match="2 values of 'household_id' in members are no group's"):
        synthesizer.impute(groups.head(18), members)
    with pytest.raises(ValueError, match="'job' has a sign or category"):
        synthesizer.impute(groups, first_is(members, job="z", wage=None))
    with pytest.raises(ValueError, match="particles must lie between"):
        synthesizer.impute(groups, members, particles=0)
    with pytest.raises(ValueError, match="missing names rent"):
        HouseholdSchema(["wage"], missing={"rent": "class"})
