import polars as pl
import pytest

from microplex_pipeline.survey import (
    SurveyError,
    complete_records,
    completion_rules,
    model_frame,
    prepare_survey,
    read_survey,
)
from microplex_pipeline.survey.identities import broken_identities
from microplex_pipeline.survey.reader import verify


def test_the_state_factor_on_wages_is_undone(data, schema):
    records = prepare_survey(read_survey(schema, data, "CA", 2014), schema, data)
    earned = records.filter(pl.col("wages_head") > 5000)["wages_head"]
    assert ((earned % 500) == 0).mean() > 0.8  # 0.1 % before the factor is undone
    assert earned.mode()[0] in (30_000, 40_000, 50_000)


def test_identities_hold(rhode_island, schema):
    assert broken_identities(rhode_island, schema) == []


def test_households_are_described(rhode_island):
    household = rhode_island.group_by("household_id").agg(
        pl.col("household_income").n_unique().alias("incomes"),
        pl.col("household_persons").first(),
        pl.col("n_persons").cast(pl.Int64).sum(),
        pl.col("unit_number").max(),
        pl.col("household_units").first(),
    )
    assert household["incomes"].max() == 1
    assert (household["household_persons"] == household["n_persons"]).all()
    assert (household["unit_number"] == household["household_units"]).all()


def test_a_later_year_is_aged(data, schema, rhode_island):
    aged = prepare_survey(read_survey(schema, data, "RI", 2019), schema, data)
    factors = pl.read_csv(data / "growth_factors.csv").filter(base_year=2014, year=2019)
    grown = aged["wages"].sum() / rhode_island["wages"].sum()
    assert grown == pytest.approx(factors["wages"][0], rel=1e-4)
    population = pl.read_csv(data / "population_growth.csv").filter(state="RI", year=2019)
    grown = aged["weight"].sum() / rhode_island["weight"].sum()
    assert grown == pytest.approx(population["ratio_to_2014"][0], rel=1e-6)
    assert broken_identities(aged, schema) == []


def test_losses_grow_by_a_factor_of_their_own(data, schema):
    now, aged = (
        prepare_survey(read_survey(schema, data, "TX", year), schema, data)
        for year in (2014, 2018)
    )
    factors = pl.read_csv(data / "growth_factors.csv").filter(base_year=2014, year=2018)
    lost = pl.col("business_income_head") < 0
    grown = (
        aged.filter(lost)["business_income_head"].sum()
        / now.filter(lost)["business_income_head"].sum()
    )
    assert grown == pytest.approx(factors["business_losses"][0], rel=1e-3)
    assert factors["business_losses"][0] != pytest.approx(factors["business_income"][0], rel=1e-3)


def test_modelled_columns_can_be_converted_back_to_records(rhode_island, schema):
    frame = model_frame(rhode_island, schema)
    assert frame.columns == ["weight", *schema.condition_columns, *schema.model_columns]
    skeleton = rhode_island.drop([*schema.amount_columns, "household_income"])
    records = complete_records(skeleton, frame, schema).with_columns(rhode_island["snap"])
    assert broken_identities(records, schema) == []
    for column in ("wages", "business_income", "ssi"):
        assert (records[column] == rhode_island[column]).all()
    # parts are recovered from shares rounded to three digits
    gap = (records["qualified_dividends"] - rhode_island["qualified_dividends"]).abs()
    assert (gap <= rhode_island["ordinary_dividends"] * 0.0005 + 1).all()


def test_structural_zeros_are_passed_to_the_synthesizer(schema):
    assert schema.only_where == {
        "qualified_dividends_share": "ordinary_dividends",
        "pensions_taxable_share": "pensions_total",
        "wages_spouse": ("filing_status", "2"),
        "business_income_spouse": ("filing_status", "2"),
        "farm_income_spouse": ("filing_status", "2"),
    }
    assert completion_rules(schema) == {
        "snap": ("unit_number", 1),
        "mortgage_interest": "real_estate_taxes",
    }


def test_an_amount_of_the_household_is_counted_once(data, schema, rhode_island):
    raw = read_survey(schema, data, "RI", 2014)
    households = raw.group_by("household_id").agg(pl.col("snap").first(), pl.len())
    assert households.filter(pl.col("snap") > 0, pl.col("len") > 1).height == 45
    once = rhode_island.group_by("household_id").agg(pl.col("snap").sum())
    compared = once.join(households, on="household_id")
    assert (compared["snap"] == compared["snap_right"]).all()
    assert (rhode_island.filter(pl.col("unit_number") > 1)["snap"] == 0).all()
    uneven = raw.with_columns(snap=pl.int_range(pl.len()))
    with pytest.raises(SurveyError, match="snap differs between the units of 264 households"):
        verify(uneven, schema, "RI 2014")
