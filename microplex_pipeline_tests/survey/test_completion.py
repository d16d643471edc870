"""Every column of the source: drawn after the amounts, computed, or resampled."""

import polars as pl
import pytest

from microplex_pipeline.survey import (
    SurveyError,
    amount_growth,
    column_descriptions,
    load_schema,
    prepare_survey,
    read_survey,
    with_every_column,
)
from microplex_pipeline.survey.columns import (
    COMPUTED,
    DRAWN_AFTER,
    RESAMPLED,
    SYNTHESIZED,
    column_origins,
    tax_calculator_names,
)


@pytest.fixture(scope="module")
def aged(schema, data):
    """Rhode Island 2014, aged to 2020."""
    return prepare_survey(read_survey(schema, data, "RI", 2020), schema, data)


def incomplete(records, schema):
    """Records as they are before the later columns are drawn, and these columns."""
    computed = [c.name for c in schema.computed if c not in schema.computed_before]
    later = [*schema.completing_columns, *computed, "family_id"]
    return records.drop(later), records.select(schema.completing_columns)


def test_the_survey_has_every_column_of_the_source(rhode_island, schema, data):
    source = pl.read_parquet_schema(data / schema.file)
    assert set(source) <= set(rhode_island.columns)
    origins = column_origins(schema)
    keys = {"year", "state", "household_id", "tax_unit_id", "weight"}
    assert set(source) - keys <= set(origins)


@pytest.mark.parametrize("year", [2014, 2020])
def test_records_with_the_surveys_own_draws_are_the_surveys(
    rhode_island, aged, schema, data, year
):
    records = rhode_island if year == 2014 else aged
    before, drawn = incomplete(records, schema)
    growth = amount_growth(schema, data, 2014, year)
    completed = with_every_column(before, drawn, schema, growth)
    for name in (*schema.completing_columns, "family_id"):
        assert completed[name].to_list() == records[name].to_list(), name
    # the source cut both parts of one amount to whole dollars
    gap = completed["charitable_noncash"] - records["charitable_noncash"]
    assert gap.abs().max() <= 1


def test_caps_steps_and_amounts_of_families_hold_whatever_is_drawn(aged, schema, data):
    before, drawn = incomplete(aged, schema)
    wild = drawn.with_columns(
        pl.when(pl.int_range(pl.len()) % 3 == 0)
        .then(0)
        .otherwise(pl.int_range(1, pl.len() + 1) * 977)
        .alias(name)
        for name in drawn.columns
    )
    growth = amount_growth(schema, data, 2014, 2020)
    completed = with_every_column(before, wild, schema, growth)
    assert completed["student_loan_interest"].max() == round(
        2500 * growth["student_loan_interest"]
    )
    assert completed["self_employed_pension_contributions"].max() == round(
        105_000 * growth["self_employed_pension_contributions"]
    )
    for name, step in (("medicaid_value", 7204.4), ("medicare_value", 11733.88)):
        assert ((completed[name] == 0) == (wild[name] == 0)).all()
        covers = completed[name] / growth[name] / step
        assert (covers - covers.round()).abs().max() < 1e-3
        assert covers.max() > 5
    families = completed.group_by("household_id", "family_number")
    assert families.agg(pl.col("housing_assistance").n_unique())["housing_assistance"].max() == 1


def test_later_columns_grow_to_a_later_year(rhode_island, aged, schema, data):
    growth = amount_growth(schema, data, 2014, 2020)
    for name in (*schema.drawn_columns, "charitable_noncash"):
        total = rhode_island[name].sum()
        assert aged[name].sum() == pytest.approx(total * growth[name], rel=2e-3, abs=200), name
        assert growth[name] != 1, name
    assert set(amount_growth(schema, data, 2014, 2014).values()) == {1.0}


def test_income_bins_follow_the_income_of_the_unit(rhode_island, schema, data):
    before, drawn = incomplete(rhode_island, schema)
    growth = amount_growth(schema, data, 2014, 2014)
    bins = with_every_column(before.drop("source_agi_bin", strict=False), drawn, schema, growth)
    edges = next(c.edges for c in schema.computed if c.name == "source_agi_bin")
    expected = [sum(income >= e for e in edges) for income in bins["unit_income"]]
    assert bins["source_agi_bin"].to_list() == expected


def test_descriptions_say_how_a_column_came_about(schema, data):
    described = column_descriptions(schema, data)
    for name, origin in {
        "wages_head": SYNTHESIZED,
        "wages": COMPUTED,
        "charitable_noncash": COMPUTED,
        "real_estate_taxes": DRAWN_AFTER,
        "n_ctc_children": RESAMPLED,
    }.items():
        assert described[name].endswith(f"; origin: {origin}"), name


def test_tax_calculators_names_are_in_the_dictionary_once(schema, data, tmp_path):
    names = tax_calculator_names(schema, data)
    assert names["e00200p"] == "wages_head"
    assert names["nu13"] == names["f2441"] == "n_dependents_under_13"
    text = (data / schema.columns_file).read_text("utf-8")
    (tmp_path / schema.columns_file).write_text(
        text.replace(",e00200p,e00200p,", ",e00200p,e00200s,")
    )
    with pytest.raises(SurveyError, match="wages_head and wages_spouse are both e00200s"):
        tax_calculator_names(schema, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    - ssi\n", "    - wic\n", "drawn_after.given names 'wic'"),
        ("only_where: real_estate", "only_where: real", "mortgage_interest.only_where names"),
        ("{charitable_cash: 0.2", "{gifts: 0.2", "computed.charitable_noncash names 'gifts'"),
        ("family_amounts: [housing_", "family_amounts: [", "family_amounts names 'assistance'"),
        ("cap: 2500", "cap: 0", "cap"),
    ],
)
def test_columns_that_do_not_come_before_are_refused(data, tmp_path, old, new, message):
    text = (data / "surveys" / "cps_tax_units.yaml").read_text("utf-8")
    assert old in text
    path = tmp_path / "schema.yaml"
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(SurveyError, match=message):
        load_schema(path)


@pytest.mark.parametrize("column", ["medicaid_value", "state_income_or_sales_tax"])
def test_an_amount_that_cannot_be_negative_is_refused(data, schema, tmp_path, column):
    (tmp_path / schema.file).parent.mkdir(exist_ok=True)
    records = pl.read_parquet(data / schema.file).filter(state="RI", year=2014)
    first = pl.int_range(pl.len()) == 0
    wrong = records.with_columns(pl.when(first).then(-5).otherwise(pl.col(column)).alias(column))
    wrong.write_parquet(tmp_path / schema.file)
    with pytest.raises(SurveyError, match=f"{column} is negative in 1 records"):
        read_survey(schema, tmp_path, "RI", 2014)
