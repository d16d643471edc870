"""Surveys: checking and reading a survey's files, undoing the source's scaling, ageing the records.

The library part: nothing here uses Dagster. A YAML schema describes each survey.
"""

from microplex_pipeline.survey.ageing import amount_growth, growth_of_item
from microplex_pipeline.survey.columns import (
    column_descriptions,
    column_origins,
    tax_calculator_names,
)
from microplex_pipeline.survey.completion import (
    completion_frame,
    completion_rules,
    with_every_column,
)
from microplex_pipeline.survey.computed import add_computed
from microplex_pipeline.survey.edition_totals import (
    EditionLimits,
    earlier_edition,
    implausible_totals,
)
from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.later_edition import columns_left_out, take_in
from microplex_pipeline.survey.model_frame import complete_records, model_frame
from microplex_pipeline.survey.national import national_sample
from microplex_pipeline.survey.person_ages import draw_ages, persons_of
from microplex_pipeline.survey.pooled import pooled_total
from microplex_pipeline.survey.preparation import prepare_survey, weighted_persons
from microplex_pipeline.survey.reader import read_survey
from microplex_pipeline.survey.schema import SurveySchema, load_schema
from microplex_pipeline.survey.words import SurveyWords, survey_words
from microplex_pipeline.survey.years import (
    aged_title,
    edition_title,
    later_editions,
    survey_file,
    survey_year,
    survey_years,
)

__all__ = [
    "EditionLimits",
    "SurveyError",
    "SurveySchema",
    "SurveyWords",
    "add_computed",
    "aged_title",
    "amount_growth",
    "column_descriptions",
    "column_origins",
    "columns_left_out",
    "complete_records",
    "completion_frame",
    "completion_rules",
    "draw_ages",
    "earlier_edition",
    "edition_title",
    "growth_of_item",
    "implausible_totals",
    "later_editions",
    "load_schema",
    "model_frame",
    "national_sample",
    "persons_of",
    "pooled_total",
    "prepare_survey",
    "read_survey",
    "survey_file",
    "survey_words",
    "survey_year",
    "survey_years",
    "take_in",
    "tax_calculator_names",
    "weighted_persons",
    "with_every_column",
]
