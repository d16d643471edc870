import re
from functools import partial
from itertools import product

import polars as pl
import pytest

from microplex_pipeline.calibration import Targets
from microplex_pipeline.calibration.targets.derived import derive, names_in_modelled
from microplex_pipeline.calibration.targets.modelled import modelled_targets
from microplex_pipeline.calibration.targets.published import published_targets
from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.defs.coverage import STATES
from microplex_pipeline.reports import in_words, target_in_words
from microplex_pipeline.survey import growth_of_item


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (("tax_unit", "sum", "n_persons", "all"), "Persons"),
        (("tax_unit", "count", "tax_units", "all"), "Tax units"),
        (("tax_unit", "count", "tax_unit", "all"), "Tax units"),
        (("tax_unit", "sum", "wages", "all"), "Wages and salaries, total"),
        (("tax_unit", "sum", "unemployment_compensation", "all"), "Unemployment compensation, total"),
        (
            ("tax_unit", "count", "tax_units", "filing_status:1|age_head:<=34"),
            "Tax units: single, head aged 34 or less",
        ),
        (
            ("household", "count", "households", "household_income:100000-149999"),
            "Households with income of $100,000 to $149,999",
        ),
        (
            ("household", "count", "households", "household_income:-5000.5-0"),
            "Households with income of \u2212$5,000.5 to $0",
        ),
        (
            ("tax_unit", "count", "tax_units", "household_income:<=9999|snap:1+|filing_status:4"),
            "Tax units with household income of $9,999 or less and food assistance (SNAP) of $1 or "
            "more: head of household",
        ),
        (
            ("tax_unit", "sum", "wages", "filing_status:2"),
            "Wages and salaries, total of tax units: married filing jointly",
        ),
        (
            ("tax_unit", "sum", "n_persons", "n_persons_under_18:0"),
            "Persons, total of tax units: 0 persons under 18",
        ),
        (("tax_unit", "count", "tax_units", "n_persons:1"), "Tax units: 1 person"),
        (
            ("tax_unit", "count", "tax_units", "n_eitc_children:2|wages:1-14999"),
            "Tax units with wages and salaries of $1 to $14,999: 2 child(ren) for the earned income tax "
            "credit",
        ),
        (("tax_unit", "count", "tax_units", "n_persons:10+"), "Tax units: 10 or more persons"),
        (("household", "sum", "snap", "all"), "Food assistance (SNAP), total of households"),
        (("tax_unit", "mean", "wages", "all"), "Wages and salaries, mean of tax units"),
        (("tax_unit", "ratio", "wages/n_persons", "all"), "Wages and salaries over persons, tax units"),
    ],
)  # fmt: skip
def test_targets_of_the_survey_are_put_into_words(words, target, text):
    assert target_in_words(*target, words) == text


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (("tax_unit", "count", "tax_units", "filing_status:9"), "Tax units: filing status 9"),
        (("tax_unit", "count", "tax_units", "filing_status:1-2"), "Tax units: filing status 1 to 2"),
        (("person", "mean", "hours_worked", "all"), "Hours worked, mean of persons"),
        (("family", "count", "families", "region:New England"), "Families: region New England"),
        (("person", "count", "workers", "age:18-64"), "Workers, number in persons: age 18 to 64"),
        (("farm", "sum", "n_cows", "all"), "Cows, total of farms"),
        (("farm", "median", "n_cows", "acres:1000+"), "Cows, median of farms: acres 1,000 or more"),
    ],
)  # fmt: skip
def test_names_without_a_title_are_used_as_they_are(words, target, text):
    assert target_in_words(*target, words) == text


def test_all_targets_of_all_states_and_years_have_different_texts(
    data, schema, words, rhode_island
):
    sources = load_target_sources(data / "targets" / "sources.yaml")
    every_cell = sources.modelled.model_copy(update={"min_records": 0})
    keys = {"weight": schema.weight, "household_id": schema.household}
    names = names_in_modelled(every_cell)
    surveyed = derive(rhode_island, sources, names, 2014, schema.household)
    modelled = modelled_targets(surveyed, every_cell, schema.title, **keys)
    counts = {"household": 1e6, "tax_unit": 1e6}
    growth = partial(growth_of_item, schema, data)
    population = data / schema.ageing.population
    published = [
        published_targets(sources, data / "targets", state, year, population, counts, growth)
        for state, year in product(STATES, (2012, 2014, 2020))
    ]
    columns = ["entity", "measure", "variable", "domain", "value"]
    rows = pl.concat([f.select(columns) for f in (modelled, *published)])
    names = pl.Series(Targets(rows.unique(columns[:4], maintain_order=True)).names)
    texts = in_words(names, words)
    assert len(texts) == texts.n_unique() == 84
    assert not [text for text in texts if re.search(r"[_:|<+\[]\w|\d{4}|\bn ", text)]


def test_targets_with_the_same_text_are_followed_by_their_names(words):
    names = ["tax_unit count tax_units [all]", "tax_unit count tax_unit [all]", "something else"]
    assert in_words(pl.Series([*names, names[0]]), words).to_list() == [
        "Tax units (tax_unit count tax_units [all])",
        "Tax units (tax_unit count tax_unit [all])",
        "something else",
        "Tax units (tax_unit count tax_units [all])",
    ]
