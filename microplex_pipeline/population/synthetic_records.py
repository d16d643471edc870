"""Synthetic households and tax units, drawn from a state's survey and its fitted models."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from microplex_pipeline.population.synthetic_compositions import synthesized_households
from microplex_pipeline.population.training import later_frame, summaries_of
from microplex_pipeline.survey import (
    SurveySchema,
    add_computed,
    complete_records,
    draw_ages,
    model_frame,
    with_every_column,
)
from microplex_pipeline.survey.preparation import describe_households
from microplex_pipeline.synthesis import (
    SynthesizedCompositions,
    Synthesizer,
    draw_in_turn,
    resample_households,
    without_copies,
)


def synthetic_records(
    survey: pl.DataFrame,
    synthesizer: Synthesizer,
    completion: Synthesizer,
    schema: SurveySchema,
    n_households: int,
    seed: int,
    growth: Mapping[str, float],
    compositions: SynthesizedCompositions | None = None,
) -> pl.DataFrame:
    """Return synthetic tax units in households, with equal weights that add up to the survey's.

    Compositions of households are those of surveyed ones, drawn with probability proportional to weight, or
    drawn from a model; ages of dependants are drawn within the survey's age bands. Amounts are drawn unit by
    unit, given those of the household's earlier units; then the household's own amounts, and the columns that
    hang on all of them. Every identity of the schema holds in every row. A row that copies a respondent's
    record is drawn again.

    Parameters
    ----------
    survey : canonical records of one state and year.
    synthesizer : of amounts, fitted to this survey.
    completion : of the columns that are drawn after the amounts.
    n_households : number of households to draw.
    seed : decides all draws.
    growth : growth of each amount from the surveyed year to that of the records, from `amount_growth`.
    compositions : the model of a national sample, which is fine-tuned to this survey, and from which
        compositions are drawn; None to draw surveyed households.
    """
    if compositions is None:
        skeleton = _resampled_households(survey, schema, n_households, seed)
    else:
        skeleton = synthesized_households(
            survey, schema, n_households, _another(seed, 0), compositions
        )
    return drawn_for(
        draw_ages(skeleton, schema, seed), survey, synthesizer, completion, schema, seed, growth
    )


def drawn_for(
    skeleton: pl.DataFrame,
    survey: pl.DataFrame,
    synthesizer: Synthesizer,
    completion: Synthesizer,
    schema: SurveySchema,
    seed: int,
    growth: Mapping[str, float],
) -> pl.DataFrame:
    """Return units with all that is drawn for them: amounts, and what hangs on them.

    Parameters
    ----------
    skeleton : units in households with their conditions, carried columns and ages.
    survey, synthesizer, completion, schema, seed, growth : as for `synthetic_records`.
    """
    records = describe_households(
        _with_amounts(skeleton, survey, synthesizer, schema, seed), schema
    )
    records = add_computed(records, schema.computed_before)
    later = _later_columns(records, survey, completion, schema, _another(seed))
    return with_every_column(records, later, schema, growth)


def _resampled_households(
    survey: pl.DataFrame, schema: SurveySchema, n_households: int, seed: int
) -> pl.DataFrame:
    compositions = compositions_of(survey, schema)
    return resample_households(
        compositions,
        n_households,
        seed,
        household_id=schema.household,
        weight=schema.weight,
        unit_id=schema.unit,
    ).select(compositions.columns)


def compositions_of(survey: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Return the columns of records that make up their households' compositions."""
    keys = [schema.state, schema.year, schema.household, schema.unit, schema.weight]
    return survey.select(list(dict.fromkeys([*keys, *schema.condition_columns, *schema.carried])))


def _with_amounts(
    skeleton: pl.DataFrame,
    survey: pl.DataFrame,
    synthesizer: Synthesizer,
    schema: SurveySchema,
    seed: int,
) -> pl.DataFrame:
    """Draw the units' amounts, those of a household one after the other."""
    surveyed = model_frame(survey, schema)

    def draw(units: pl.DataFrame, seed: int) -> pl.DataFrame:
        frame = model_frame(units, schema).with_columns(
            units[s.name] for s in schema.earlier_units
        )
        drawn = without_copies(
            synthesizer.generate(frame, seed),
            surveyed,
            [*schema.condition_columns, *schema.model_columns],
            schema.model_columns,
            [name for name in schema.model_columns if name not in schema.discrete_targets],
            lambda some, again: (
                synthesizer.generate(some.drop(schema.model_columns), again, draws="independent")
                .select(schema.model_columns)
                .get_columns()
            ),
            seed,
        )
        return complete_records(units, drawn, schema)

    return draw_in_turn(
        skeleton,
        summaries_of(schema.earlier_units),
        schema.household,
        draw,
        lambda place: seed if place == 0 else _another(seed, 1 + place),
    )


def _later_columns(
    records: pl.DataFrame,
    survey: pl.DataFrame,
    completion: Synthesizer,
    schema: SurveySchema,
    seed: int,
) -> pl.DataFrame:
    """Draw the household's amounts and the columns that hang on all others."""
    frame, later = later_frame(records, schema), schema.completing_columns
    drawn = completion.generate(frame, seed)
    compared = [*schema.condition_columns, *schema.target_columns]
    return without_copies(
        drawn.with_columns(records[c] for c in compared if c not in drawn.columns),
        survey,
        compared,
        later,
        schema.target_columns,
        lambda some, again: (
            completion.generate(some.select(frame.columns), again, draws="independent")
            .select(later)
            .get_columns()
        ),
        seed,
    ).select(later)


def _another(seed: int, number: int = 1) -> int:
    """Return a seed whose draws are independent of those of the given one."""
    return int(np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1)[0])
