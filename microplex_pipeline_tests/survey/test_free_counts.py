"""Free numbers of persons: all counts of the survey follow from them."""

import polars as pl
import pytest

from microplex_pipeline.survey import SurveyError
from microplex_pipeline.survey.free_counts import counted, free_counts, with_counts


def test_counts_follow_from_the_free_numbers(rhode_island, schema):
    free = free_counts(rhode_island, schema)
    assert (free.min_horizontal() >= 0).all()
    ages = rhode_island.select("age_head", "age_spouse")
    again = with_counts(pl.concat([ages, free], how="horizontal"), schema)
    names = counted(schema)
    assert {"n_persons", "n_persons_under_18", "n_ctc_children"} < set(names)
    for name in names:
        assert (again[name] == rhode_island[name]).all(), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": ["n_dependents_under_6", "n_dependents_under_13"]}, "one column in `count`"),
        ({"less": ["n_eitc_children"]}, "names n_eitc_children, which no band counts"),
        ({"less": ["n_dependents_under_13"]}, "bands are defined by each other"),
    ],
)
def test_bands_that_do_not_say_what_follows_are_refused(schema, change, message):
    bands = [schema.ages.bands[0].model_copy(update=change), *schema.ages.bands[1:]]
    ages = schema.ages.model_copy(update={"bands": bands})
    with pytest.raises(SurveyError, match=message):
        counted(schema.model_copy(update={"ages": ages}))
