"""Joint distributions of synthetic records beside the survey's, judged by halves of the survey.

What sampling gives is measured, not assumed: the survey is divided at random into halves of its households,
and each measure is taken between two halves as it is between survey and synthetic records.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.evaluation.columns import JOINT_COLUMNS
from microplex_pipeline.evaluation.encoding import as_numbers
from microplex_pipeline.evaluation.margins import correlations, signed_log
from microplex_pipeline.evaluation.threads import one_thread
from microplex_pipeline.evaluation.two_sample import coverage, grouped_auc

SPLITS = 40
COVERAGE_SPLITS = 3
MIN_HOLDERS = 20  # fewer respondents say nothing about a correlation
SAMPLE = 2000  # most records for coverage, whose cost is quadratic, and for the classifier
Z95 = 1.96


@one_thread()
def joint_fidelity(
    survey: pl.DataFrame,
    synthetic: pl.DataFrame,
    targets: Sequence[str],
    conditions: Sequence[str],
    weight: str,
    household_id: str,
    seed: int = 0,
) -> pl.DataFrame:
    """Compare joint distributions of amounts and conditions.

    Parameters
    ----------
    survey, synthetic : weighted records in households, in order within them.
    targets, conditions : columns of amounts, and columns known before the amounts are drawn.
    weight, household_id : columns of the weight, and of the household's number.
    seed : of splits, samples and folds.

    Returns
    -------
    One row per measure, with the columns of JOINT_COLUMNS:

    * amount_correlations : root mean square difference of the correlations of signed logarithms of
      amounts;
    * sign_correlations : the same of their signs, i.e. of who has what;
    * household_correlations : the same of each amount between the first and the second unit of a household;
    * coverage : share of surveyed records near a synthetic one, see `two_sample.coverage`;
    * auc : how well a classifier tells survey from synthetic records, see `two_sample.grouped_auc`.

    Amounts with fewer than MIN_HOLDERS respondents are left out of the correlations.
    """
    rng = np.random.default_rng(seed)
    held = [name for name in targets if (survey[name] != 0).sum() >= MIN_HOLDERS]
    rows = []
    if len(held) > 1:
        halves = [_halves(survey, household_id, rng) for _ in range(SPLITS)]
        for measure, transform in (
            ("amount_correlations", signed_log),
            ("sign_correlations", np.sign),
        ):
            frames = [
                transform(f.select(held).cast(pl.Float64).to_numpy()) for f in (survey, synthetic)
            ]
            weights = [f[weight].cast(pl.Float64).to_numpy() for f in (survey, synthetic)]
            pairs = list(combinations(range(len(held)), 2))
            gaps = _correlation_gaps(frames, weights, halves, held, pairs)
            rows.append({"measure": measure, **gaps})
    rows += _within_households(survey, synthetic, targets, weight, household_id, rng)
    columns = [*conditions, *targets]
    rows.append(
        {"measure": "coverage", **_coverage(survey, synthetic, columns, household_id, rng)}
    )
    rows.append({"measure": "auc", **_auc(survey, synthetic, columns, conditions, weight, seed)})
    return pl.DataFrame(rows, infer_schema_length=None).select(
        [c if c in rows[-1] or c in rows[0] else pl.lit(None).alias(c) for c in JOINT_COLUMNS]
    )


def _within_households(
    survey: pl.DataFrame,
    synthetic: pl.DataFrame,
    targets: Sequence[str],
    weight: str,
    household_id: str,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Return the row of the amounts' correlations between the first two units of a household, if any."""
    both = [_first_two(f, targets, weight, household_id) for f in (survey, synthetic)]
    enough = [(both[0][c] != 0).sum() >= MIN_HOLDERS for c in both[0].columns]
    held = [name for k, name in enumerate(targets) if enough[k] and enough[len(targets) + k]]
    if not held or not both[1].height:
        return []
    columns = [*held, *(f"second {name}" for name in held)]
    frames = [signed_log(f.select(columns).cast(pl.Float64).to_numpy()) for f in both]
    weights = [f[weight].cast(pl.Float64).to_numpy() for f in both]
    halves = [_halves(both[0], household_id, rng) for _ in range(SPLITS)]
    pairs = [(k, len(held) + k) for k in range(len(held))]
    gaps = _correlation_gaps(frames, weights, halves, [*held, *held], pairs)
    return [{"measure": "household_correlations", **gaps}]


def _first_two(
    records: pl.DataFrame, targets: Sequence[str], weight: str, household_id: str
) -> pl.DataFrame:
    """Return a row per household of several units: the amounts of the first, and of the second unit."""
    several = records.filter(pl.len().over(household_id) > 1)
    return (
        several.group_by(household_id, maintain_order=True)
        .agg(
            pl.col(targets).first(),
            *(pl.col(name).get(1).alias(f"second {name}") for name in targets),
            pl.col(weight).first(),
        )
        .select(*targets, *(f"second {name}" for name in targets), weight, household_id)
    )


def _halves(survey: pl.DataFrame, household_id: str, rng: np.random.Generator) -> np.ndarray:
    """Return whether each record belongs to the first of two random halves of the households."""
    households = survey[household_id].rank("dense").to_numpy().astype(int) - 1
    n = int(households.max()) + 1
    first = rng.permutation(n) < n // 2
    return np.asarray(first[households])


def _correlation_gaps(
    frames: Sequence[np.ndarray],
    weights: Sequence[np.ndarray],
    halves: Sequence[np.ndarray],
    names: Sequence[str],
    pairs: Sequence[tuple[int, int]],
) -> dict[str, Any]:
    """Return the root mean square gap of correlations, what halves give, and the pair farthest off."""
    of_pairs = tuple(np.array(pairs).T)
    (x, y), (w, v) = frames, weights
    real, drawn = correlations(x, w)[of_pairs], correlations(y, v)[of_pairs]
    between = np.array(
        [correlations(x[h], w[h])[of_pairs] - correlations(x[~h], w[~h])[of_pairs] for h in halves]
    )
    # the variance between halves is four times that of the whole survey; synthetic records add their own
    between *= np.sqrt((1 / len(x) + 1 / len(y)) / (4 / len(x)))
    by_sampling = np.sqrt(np.square(between).mean(axis=1))
    # halves cannot show the noise of a pair that hardly anybody has: take that of unrelated amounts at least
    unrelated = np.sqrt(1 / len(x) + 1 / len(y))
    noise = np.maximum(np.sqrt(np.square(between).mean(axis=0)), unrelated)
    gap = np.abs(drawn - real)
    worst = int(np.argmax(gap / noise))
    value, limit = float(np.sqrt(np.square(gap).mean())), float(np.quantile(by_sampling, 0.95))
    return {
        "value": value,
        "by_sampling": float(by_sampling.mean()),
        "limit": limit,
        "beyond": value > limit,
        "first": names[pairs[worst][0]],
        "second": names[pairs[worst][1]],
        "survey": float(real[worst]),
        "synthetic": float(drawn[worst]),
        "z": float((drawn[worst] - real[worst]) / noise[worst]),
    }


def _coverage(
    survey: pl.DataFrame,
    synthetic: pl.DataFrame,
    columns: Sequence[str],
    household_id: str,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return how well synthetic records cover one half of the survey, and how well the other half does."""
    real, drawn = as_numbers((survey, synthetic), columns)
    found = []
    for _ in range(COVERAGE_SPLITS):
        half = _halves(survey, household_id, rng)
        a, b = (rng.permutation(real[h])[:SAMPLE] for h in (half, ~half))
        as_many = drawn[rng.permutation(len(drawn))[: len(b)]]
        found.append((coverage(a, as_many), coverage(a, b), len(a)))
    value, by_sampling, n = np.mean(found, axis=0)
    limit = by_sampling - Z95 * np.sqrt(2 * by_sampling * (1 - by_sampling) / n)
    return {
        "value": float(value),
        "by_sampling": float(by_sampling),
        "limit": float(limit),
        "beyond": bool(value < limit),
    }


def _auc(
    survey: pl.DataFrame,
    synthetic: pl.DataFrame,
    columns: Sequence[str],
    conditions: Sequence[str],
    weight: str,
    seed: int,
) -> dict[str, Any]:
    parts = [f.sample(min(f.height, SAMPLE), seed=seed) for f in (survey, synthetic)]
    data = as_numbers(parts, columns)
    # surveyed and synthetic records with the same conditions stay together
    groups = pl.concat([f.select(conditions).cast(pl.String) for f in parts])
    numbers = groups.select(pl.struct(conditions).rank("dense"))[:, 0].to_numpy()
    weights = [f[weight].cast(pl.Float64).to_numpy() for f in parts]
    test = grouped_auc(data[0], data[1], (weights[0], weights[1]), numbers, seed)
    return {
        "value": test.auc,
        "by_sampling": 0.5,
        "limit": 0.5 + Z95 * test.error,
        "beyond": test.auc > 0.5 + Z95 * test.error,
    }
