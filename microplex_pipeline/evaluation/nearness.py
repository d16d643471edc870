"""Nearness of synthetic records to respondents, and what can be predicted of a respondent from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from microplex_pipeline.evaluation.encoding import as_numbers
from microplex_pipeline.evaluation.sampling_error import Estimate
from microplex_pipeline.evaluation.threads import one_thread
from microplex_pipeline.evaluation.two_sample import rank_scale

SAMPLE = 3000  # most records for measures with nearest neighbours, whose cost is quadratic


class AgainstChance(NamedTuple):
    """A measure for training respondents, and the same for people whom no model saw.

    Attributes
    ----------
    value : e.g. matches with training respondents per synthetic record or amount.
    chance : the same for held-out people, e.g. scaled to the number of training respondents.
    standard_error : of value - chance; for rates of matches and for nearness under the hypothesis that
        chance alone divided people into the two samples, i.e. over all permutations of the two samples.
    """

    value: float
    chance: float
    standard_error: float


@one_thread()
def nearness(
    train: pl.DataFrame, holdout: pl.DataFrame, synthetic: pl.DataFrame, columns: Sequence[str]
) -> tuple[AgainstChance, AgainstChance]:
    """Return nearer_to_train and membership_auc, see `disclosure`."""
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import NearestNeighbors

    n = min(train.height, holdout.height, SAMPLE)
    synthetic = synthetic.sample(min(synthetic.height, SAMPLE), seed=0)
    members = train.sample(n, seed=0)
    others = holdout.sample(n, seed=0)
    frames = as_numbers((members, others, synthetic), columns)
    reference = np.concatenate(frames[:2])
    a, b, s = (rank_scale(reference, f) for f in frames)

    def nearest(to: np.ndarray, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distances, places = NearestNeighbors(n_neighbors=1).fit(to).kneighbors(of)
        return distances[:, 0], places[:, 0]

    (to_train, member), (to_holdout, other) = nearest(a, s), nearest(b, s)
    won = (to_train < to_holdout) + 0.5 * (to_train == to_holdout)
    # how many synthetic records each person is nearest to; a few people may attract many
    hits = np.concatenate(
        [np.bincount(member, won, minlength=n), np.bincount(other, 1 - won, minlength=n)]
    )
    near = AgainstChance(
        float(won.mean()), 0.5, float((hits.var(ddof=1) * n / 2) ** 0.5 / len(won))
    )
    closeness = -np.concatenate([nearest(s, a)[0], nearest(s, b)[0]])
    auc = float(roc_auc_score(np.repeat([1, 0], n), closeness))
    # of a score without information (Mann and Whitney 1947)
    return near, AgainstChance(auc, 0.5, float(((2 * n + 1) / (12 * n * n)) ** 0.5))


@one_thread()
def attribution(
    people: pl.DataFrame,
    synthetic: pl.DataFrame,
    targets: Sequence[str],
    conditions: Sequence[str],
    within: float = 0.05,
) -> Estimate:
    """Return the share of non-zero amounts of `people` that an intruder predicts from their conditions.

    The prediction is the amount of the synthetic record nearest in conditions (correct attribution
    probability; Taub et al. 2018, Privacy in Statistical Databases: 122-137). Only the difference
    between training and held-out people is disclosure; the rest is knowledge of the population.

    Parameters
    ----------
    within : relative error up to which a prediction is correct.
    """
    known, drawn = as_numbers((people, synthetic), conditions)
    nearest = _nearest(rank_scale(drawn, drawn), rank_scale(drawn, known), 1)[:, 0]
    right, held = _predicted(people, synthetic, nearest, targets, within)
    total = max(float(held.sum()), 1.0)
    share = float(right.sum()) / total
    # a person's amounts are right or wrong together: linearization of the ratio over persons
    error = float(np.square(right - share * held).sum()) ** 0.5 / total
    return Estimate(share, error)


@one_thread()
def attribution_beside_others(
    people: pl.DataFrame,
    synthetic: pl.DataFrame,
    targets: Sequence[str],
    conditions: Sequence[str],
    household: str,
    within: float = 0.05,
) -> AgainstChance:
    """Return the attribution of respondents, and as chance what other respondents tell of them.

    The same prediction from the nearest respondent of another household is what is known of people like
    them: it needs nobody who was left out of the survey, and is of the same population. The standard error
    is that of the paired difference.

    Parameters
    ----------
    people : respondents, of at least two households.
    household : column of their households.
    within : see `attribution`.

    Raises
    ------
    ValueError
        If all people are of one household.
    """
    if people[household].n_unique() < 2:
        raise ValueError(
            "all respondents are of one household: there are no others to compare attribution with"
        )
    known, drawn = as_numbers((people, synthetic), conditions)
    nearest = _nearest(rank_scale(drawn, drawn), rank_scale(drawn, known), 1)[:, 0]
    own = rank_scale(known, known)
    other = _nearest_of_another(own, people[household].rank("dense").to_numpy())
    right, held = _predicted(people, synthetic, nearest, targets, within)
    by_others, _ = _predicted(people, people, other, targets, within)
    total = max(float(held.sum()), 1.0)
    value, chance = float(right.sum()) / total, float(by_others.sum()) / total
    error = float(np.square(right - by_others - (value - chance) * held).sum()) ** 0.5 / total
    return AgainstChance(value, chance, error)


def _nearest(to: np.ndarray, of: np.ndarray, neighbours: int) -> np.ndarray:
    """Return the places in `to` (n, k) of the nearest rows to each row of `of` (m, k), (m, neighbours)."""
    from sklearn.neighbors import NearestNeighbors

    places: np.ndarray = NearestNeighbors(n_neighbors=neighbours).fit(to).kneighbors(of)[1]
    return places


def _nearest_of_another(rows: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the place of the nearest row (n, k) of another group (n,); there are at least two groups."""
    found = np.full(len(rows), -1)
    neighbours = 8
    while (left := np.flatnonzero(found < 0)).size:
        neighbours = min(2 * neighbours, len(rows))
        places = _nearest(rows, rows[left], neighbours)
        apart = group[places] != group[left][:, None]
        first = apart.argmax(axis=1)
        found[left] = np.where(apart.any(axis=1), places[np.arange(left.size), first], -1)
    return found


def _predicted(
    people: pl.DataFrame,
    records: pl.DataFrame,
    places: np.ndarray,
    targets: Sequence[str],
    within: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many non-zero amounts of each person the given records predict, and how many there are."""
    right, held = np.zeros(people.height), np.zeros(people.height)
    for target in targets:
        truth = people[target].cast(pl.Float64).to_numpy()
        guess = records[target].cast(pl.Float64).to_numpy()[places]
        has = truth != 0
        held += has
        right += has & (np.abs(guess - truth) <= within * np.abs(truth))
    return right, held
