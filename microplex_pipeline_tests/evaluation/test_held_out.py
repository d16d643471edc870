import polars as pl
import pytest

from microplex_pipeline.calibration.targets.state_targets import SurveyColumns, state_targets
from microplex_pipeline.defs.assets.target_inputs import place_of, pooled_totals
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.held_out import held_out_errors, held_out_summary


@pytest.fixture(scope="module")
def asked(data, schema, rhode_island):
    folder = DataFolder(str(data))
    return (
        rhode_island,
        folder.target_sources,
        place_of(folder, "RI", 2014),
        SurveyColumns(schema.weight, schema.household, schema.persons, "survey"),
        pooled_totals(folder, "RI", 2014),
    )


@pytest.fixture(scope="module")
def errors(asked):
    survey, *others = asked
    # the survey itself stands in for synthetic records
    return held_out_errors(survey, survey, *others)


def test_every_target_but_the_number_of_persons_is_held_out_once(errors, asked):
    table = state_targets(*asked).table
    assert errors.height == table.height - 1
    assert not errors["target"].is_duplicated().any()


def test_records_like_the_survey_miss_what_the_survey_misses(errors):
    both = errors.drop_nulls("survey")
    assert both.height > 10
    assert (both["synthetic"] - both["survey"]).abs().max() < 1e-6


def test_the_surveys_own_totals_are_compared_with_the_synthetic_records_alone(errors):
    own = errors.filter(pl.col("family").str.starts_with("the survey's"))
    assert own["survey"].null_count() == own.height > 0
    assert own["synthetic"].null_count() == 0


def test_what_is_held_out_is_missed_and_not_met_by_accident(errors):
    missed = held_out_summary(errors)
    assert missed["targets"].sum() == errors.height
    ages = missed.filter(pl.col("family") == "persons by age").row(0, named=True)
    # ages of a sample of 1,204 units are off by several percent unless they are targets
    assert 0.02 < ages["synthetic"] < 0.3
    assert errors.filter(pl.col("family") == "persons by age")["synthetic"].abs().min() > 1e-6
