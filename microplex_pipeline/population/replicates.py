"""Bootstrap replicates of a state's records: the whole chain after the national prior, R times.

A replicate is what the chain would have made of another sample of the state: households get bootstrap
factors, and margins, networks (those of later columns, too), synthetic households, modelled targets and
weights are made anew. The
variance over replicates therefore has every part that the file's own weights cannot show: the sampling
of households, which also reaches the modelled targets, and the noise of training and of drawing a finite
number of synthetic households. It is the variance of an estimate from one synthetic file. The national
models and the published figures are fixed.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl

from microplex_pipeline.calibration.bootstrap_weights import household_factors
from microplex_pipeline.calibration.targets.sources import TargetSources
from microplex_pipeline.population.calibrated_records import calibrated_records
from microplex_pipeline.population.national_tilt import tilted_records
from microplex_pipeline.population.synthetic_records import synthetic_records
from microplex_pipeline.population.training import (
    completion_synthesizer,
    later_frame,
    synthesizer_of,
    unit_frame,
)
from microplex_pipeline.survey import SurveySchema
from microplex_pipeline.synthesis import (
    Flow,
    Prior,
    SynthesizedCompositions,
    Synthesizer,
    TrainingSettings,
    Transformer,
    ZeroModel,
)
from microplex_pipeline.workers import side_by_side


class Sample(NamedTuple):
    """A state's sample, and what its models are trained on: the same for all its replicates.

    Attributes
    ----------
    survey : canonical records of one state and year, with positive weights.
    units, later : of these records, see `unit_frame` and `later_frame`.
    """

    survey: pl.DataFrame
    units: pl.DataFrame
    later: pl.DataFrame

    @classmethod
    def of(cls, survey: pl.DataFrame, schema: SurveySchema) -> Self:
        """Return the sample of canonical records of one state and year."""
        surveyed = survey.filter(pl.col(schema.weight) > 0)
        return cls(surveyed, unit_frame(surveyed, schema), later_frame(surveyed, schema))


@dataclass(frozen=True)
class Chain:
    """What a state's records are made with, beside its survey.

    Attributes
    ----------
    schema : the survey's schema.
    prior : the national models.
    completion : the national models of the columns that are drawn after the amounts.
    tilt : of the weights of what is drawn, from `national_tilt`.
    margins : options of `Transformer.fit`, for the amounts.
    fine_tuning, completing : training settings of the networks of the amounts, and of those of later columns.
    n_households : number of synthetic households.
    growth : growth of each amount from the surveyed year, from `amount_growth`.
    sources : of the targets, for the derived columns that they name.
    targets : returns the table of targets, given the survey. It is sent to other processes, and so must be
        a function of a module, or a partial one.
    bounds : of the ratios of weights to design weights; None for no bounds.
    compositions : see `synthetic_records`.
    """

    schema: SurveySchema
    prior: Prior
    completion: Prior
    tilt: pl.DataFrame
    margins: Mapping[str, Any]
    fine_tuning: TrainingSettings
    completing: TrainingSettings
    n_households: int
    growth: Mapping[str, float]
    sources: TargetSources
    targets: Callable[[pl.DataFrame], pl.DataFrame]
    bounds: tuple[float, float] | None = None
    compositions: SynthesizedCompositions | None = None

    def records(
        self, sample: Sample, seed: int, factors: np.ndarray | None = None
    ) -> pl.DataFrame:
        """Return calibrated synthetic records.

        Parameters
        ----------
        seed : decides training and draws.
        factors : (n,) bootstrap factors of the records; None for the sample as it is.
        """
        schema = self.schema
        replicate = sample.survey
        if factors is not None:
            replicate = replicate.with_columns(pl.col(schema.weight) * factors)
        synthesizer = _fine_tuned(
            self.prior, synthesizer_of(schema, seed=seed), self.fine_tuning,
            sample.units, schema.weight, factors, self.margins,
        )  # fmt: skip
        completion = _fine_tuned(
            self.completion, completion_synthesizer(schema, seed=seed), self.completing,
            sample.later, schema.weight, factors, {},
        )  # fmt: skip
        drawn = synthetic_records(
            replicate,
            synthesizer,
            completion,
            schema,
            self.n_households,
            seed,
            self.growth,
            self.compositions,
        )
        surveyed = replicate[schema.household].n_unique()
        records = tilted_records(drawn, self.tilt, schema, self.sources)
        return calibrated_records(
            records, self.targets(replicate), schema, self.sources, surveyed, self.bounds
        )


def _fine_tuned(
    prior: Prior,
    unfitted: Synthesizer,
    settings: TrainingSettings,
    frame: pl.DataFrame,
    weight: str,
    factors: np.ndarray | None,
    margins: Mapping[str, Any],
) -> Synthesizer:
    """Return a synthesizer that starts from a prior, as `Synthesizer.fit` makes it, of a replicate.

    Parameters
    ----------
    unfitted : names the columns, and has the seed.
    settings : of the fine-tuning.
    frame : (n, ...) training records with positive weights, those of the sample.
    factors : (n,) bootstrap factors of the records; None for the sample as it is.
    margins : options of `Transformer.fit`.
    """
    data, weights = unfitted.training_records(frame, weight)
    of_replicate = weights if factors is None else weights * factors / np.mean(weights * factors)
    transformer = Transformer.fit(
        data,
        unfitted.target_vars,
        unfitted.condition_vars,
        of_replicate,
        unfitted.discrete_vars or (),
        prior=prior.transformer,
        **margins,
    )
    common = (data, transformer, weights, settings, unfitted.seed)
    zero_model = ZeroModel.fit(*common, prior=prior.zero_model, factors=factors)
    flow = Flow.fit(*common, prior=prior.flow, factors=factors)
    return Synthesizer.from_parts(transformer, zero_model, flow)


def replicate(chain: Chain, sample: Sample, key: tuple[int, ...], number: int) -> pl.DataFrame:
    """Return one replicate of a state's calibrated records.

    Parameters
    ----------
    key : decides the replicates together with `number`, see `replicate_key`.
    number : 1, 2, ...; a replicate does not depend on how many others there are.
    """
    sampling, rest = np.random.SeedSequence([*key, number]).spawn(2)
    rng = np.random.default_rng(sampling)
    factors = household_factors(sample.survey, chain.schema.household, rng)
    return chain.records(sample, int(rest.generate_state(1)[0]), factors)


def replicate_key(seed: int, state: str, survey_year: int) -> tuple[int, ...]:
    """Return what decides the replicates of a state.

    Two years that are aged from the same survey share the key: replicates of the same number then have
    the same households in both, so that differences of the years are paired. States, and surveys of
    different years, are independent.
    """
    return seed, survey_year, *state.encode()


def processes_at_once() -> int:
    """Return how many replicates to make at once: one per core, or one in a process without children."""
    if multiprocessing.current_process().daemon:
        return 1
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


def replicates_of(
    chain: Chain,
    survey: pl.DataFrame,
    key: tuple[int, ...],
    numbers: Iterable[int],
    processes: int = 1,
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield replicates with their numbers as they are done, in any order if there are several processes.

    Raises
    ------
    RuntimeError
        If a process dies, e.g. for lack of memory.
    """
    sample = Sample.of(survey, chain.schema)
    work, wanted = partial(replicate, chain, sample, key), list(numbers)
    if processes == 1 or len(wanted) == 1:
        yield from ((number, work(number)) for number in wanted)
        return
    with closing(side_by_side(work, wanted, processes)) as done:
        for number, records in done:
            if records is None:
                raise RuntimeError(
                    f"the process of replicate {number} was killed (out of memory?): use fewer processes"
                )
            yield number, records
