import polars as pl
import pytest

from microplex_pipeline.survey import SurveyError, draw_ages, persons_of


def in_band(first: int, last: int) -> pl.Expr:
    return pl.col("ages").list.eval(pl.element().is_between(first, last)).list.sum()


@pytest.fixture(scope="module")
def aged(rhode_island, schema):
    return draw_ages(rhode_island, schema, seed=0)


def test_every_person_has_an_age(aged):
    assert (aged["ages"].list.len() == aged["n_persons"]).all()
    assert (aged["ages"].list.first() == aged["age_head"]).all()
    joint = aged.filter(pl.col("age_spouse") > 0)
    assert (joint["ages"].list.get(1) == joint["age_spouse"]).all()


def test_ages_agree_with_the_numbers_of_persons_by_age(aged):
    # a person whom the survey counts in no band gets an age, too
    counted = ["n_persons_under_18", "n_persons_18_20", "n_persons_21_plus"]
    whole = aged.filter(pl.sum_horizontal(pl.col(counted).cast(pl.Int64)) == pl.col("n_persons"))
    assert whole.height > 0.99 * aged.height
    for column, first, last in [
        ("n_persons_under_18", 0, 17),
        ("n_persons_18_20", 18, 20),
        ("n_persons_21_plus", 21, 120),
    ]:
        assert (whole.select(in_band(first, last))[:, 0] == whole[column]).all(), column
    adult = whole.filter(pl.col("age_head") >= 17)  # the bands below count dependants only
    for column, last in [("n_dependents_under_6", 5), ("n_dependents_under_13", 12)]:
        assert (adult.select(in_band(0, last))[:, 0] == adult[column]).all(), column


def test_within_a_band_all_ages_are_equally_likely(rhode_island, schema):
    many = pl.concat([rhode_island] * 20)
    persons = persons_of(draw_ages(many, schema, seed=1), schema)
    toddlers = persons.filter(pl.col("role") == "dependent", pl.col("age") < 6)
    shares = toddlers.group_by("age").len()["len"] / toddlers.height
    assert len(shares) == 6
    assert shares.min() > 0.9 / 6
    assert shares.max() < 1.1 / 6


def test_the_seed_decides_the_ages(rhode_island, schema, aged):
    assert draw_ages(rhode_island, schema, seed=0).equals(aged)
    assert not draw_ages(rhode_island, schema, seed=1).equals(aged)


def test_one_row_per_person(aged, schema):
    persons = persons_of(aged, schema)
    assert persons.height == aged["n_persons"].sum()
    assert (persons.filter(pl.col("role") == "head").height) == aged.height
    spouses = persons.filter(pl.col("role") == "spouse")
    assert spouses.height == (aged["age_spouse"] > 0).sum()
    assert (spouses["person_number"] == 2).all()
    numbers = persons.group_by("tax_unit_id").agg(pl.col("person_number").max(), pl.len())
    assert (numbers["person_number"] == numbers["len"]).all()


def test_numbers_that_contradict_each_other_are_refused(rhode_island, schema):
    wrong = rhode_island.with_columns(
        pl.when(pl.col("tax_unit_id") == rhode_island["tax_unit_id"][7])
        .then(pl.col("n_persons_18_20") + 5)
        .otherwise(pl.col("n_persons_18_20"))
        .alias("n_persons_18_20")
    )
    unit = rhode_island["tax_unit_id"][7]
    with pytest.raises(SurveyError, match=f"persons by age contradict .*tax_unit_id {unit}"):
        draw_ages(wrong, schema, seed=0)
