"""Compositions of households from a model: consistent, like the survey's, and nobody's own."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline.population.national_compositions import NationalCompositions
from microplex_pipeline.population.synthetic_compositions import (
    compositions_model,
    synthesized_households,
)
from microplex_pipeline.survey import draw_ages, prepare_survey, read_survey
from microplex_pipeline.survey.person_ages import contradicting_ages
from microplex_pipeline.synthesis import TrainingSettings

KIND = [
    "age_head",
    "age_spouse",
    "filing_status",
    "n_persons",
    "n_persons_under_18",
    "n_persons_18_20",
]


@pytest.fixture(scope="module")
def nation(schema, data):
    """Compositions of the states around Rhode Island."""
    records = [
        prepare_survey(read_survey(schema, data, state, 2014), schema, data)
        for state in ("CT", "MA", "NH", "VT")
    ]
    return compositions_model(pl.concat(records), schema, 0, TrainingSettings(epochs=15))


@pytest.fixture(scope="module")
def households(rhode_island, schema, nation):
    return synthesized_households(rhode_island, schema, 2_000, 0, nation)


def test_units_have_what_the_survey_tells_of_them(households, rhode_island, schema):
    told = [*schema.condition_columns, *schema.carried]
    assert set(told) <= set(households.columns)
    for name in households.columns:
        assert households.schema[name] == rhode_island.schema[name], name
    assert households["household_id"].n_unique() == 2_000
    of_household = rhode_island.group_by("household_id").agg(pl.col("weight").first())["weight"]
    first = households.group_by("household_id").agg(pl.col("weight").first())["weight"]
    assert first.sum() == pytest.approx(of_household.sum())


def test_numbers_of_persons_never_contradict_each_other(households, schema):
    assert contradicting_ages(households, schema) == []
    aged = draw_ages(households, schema, seed=0)
    assert (aged["ages"].list.len() == aged["n_persons"]).all()
    single = households.filter(pl.col("filing_status") != 2)
    assert (single["age_spouse"] == 0).all()
    for name, (low, high) in schema.ranges.items():
        if name in households.columns:
            assert households[name].is_between(low, high).all(), name


def test_compositions_are_like_those_of_the_survey(households, rhode_island):
    """Means within 4 standard errors of the survey's."""
    n = rhode_island["household_id"].n_unique()
    for name in (
        "age_head",
        "n_persons",
        "n_persons_under_18",
        "household_units",
        "household_persons",
    ):
        values = rhode_island[name].cast(pl.Float64).to_numpy()
        mean = np.average(values, weights=rhode_island["weight"].to_numpy())
        error = values.std() / np.sqrt(n)
        assert households[name].cast(pl.Float64).mean() == pytest.approx(mean, abs=4 * error), name


def test_a_unique_household_comes_back_no_more_often_than_one_held_out(
    rhode_island, schema, nation
):
    half = pl.col("household_id").rank("dense") % 2
    train, held = (rhode_island.filter(half == k) for k in (0, 1))
    drawn = kinds(synthesized_households(train, schema, 4_000, 0, nation))
    back, chance = (
        drawn.join(of.filter(~of["kind"].is_duplicated()), on="kind", how="semi").height
        for of in (kinds(train), kinds(held))
    )
    assert chance > 200
    assert back < chance + 4 * np.sqrt(back + chance)


def kinds(units):
    """Return each household's composition as one text."""
    of_unit = pl.concat_str([pl.col(c).cast(pl.String) for c in KIND], separator=",")
    return units.group_by("household_id").agg(of_unit.str.join(";").alias("kind"))


def test_the_same_seed_gives_the_same_households(households, rhode_island, schema, nation):
    assert synthesized_households(rhode_island, schema, 2_000, 0, nation).equals(households)


def test_a_household_like_none_in_the_nation_does_not_train(rhode_island, schema, data):
    records = prepare_survey(read_survey(schema, data, "VT", 2014), schema, data)
    one = (pl.col("household_units") <= 2) & (pl.col("age_head") < 70)
    small = records.filter(one.all().over("household_id"))
    assert rhode_island["household_units"].max() > 2
    assert rhode_island["age_head"].max() > 70
    nation = compositions_model(small, schema, 0, TrainingSettings(epochs=2))
    drawn = synthesized_households(rhode_island, schema, 300, 0, nation)
    assert drawn["household_units"].max() == 2
    assert drawn["age_head"].max() < 70


def test_a_stored_model_of_the_nation_is_the_same_model(households, rhode_island, schema, nation):
    text, weights = NationalCompositions(nation).to_data()
    model = NationalCompositions.from_data(text, weights).model
    assert synthesized_households(rhode_island, schema, 2_000, 0, model).equals(households)
    assert NationalCompositions.from_data(*NationalCompositions(None).to_data()).model is None
    with pytest.raises(ValueError, match="the stored national_compositions is damaged"):
        NationalCompositions.from_data(text.replace('"units": {', '"unit": {'), weights)
