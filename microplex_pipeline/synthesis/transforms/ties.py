"""Ties: amounts that often equal an earlier amount, a multiple of it, or a sum of two.

Couples report the same wage, half of a pension goes to each, a benefit is twice another. A density blurs
such a relation. As a class of its own, "tied", it keeps its share, and the amount follows from the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated

import numpy as np
from pydantic import Field

from microplex_pipeline.synthesis.stored_form import Listed, Stored, Text

SAMPLE = 20_000  # most records that are searched for relations
MIN_TIED = 30  # records that have a relation, at least
MIN_VALUES = 15  # different amounts among them: two amounts that everybody has are no relation
MIN_EXCESS = 0.01  # share of those that have both amounts, beyond what chance gives
MIN_RATIO = 2.0  # of that share to the one by chance
MAX_TIES = 3  # of one amount
DIGITS = 4  # of a multiple's factor


@dataclass(frozen=True)
class Tie:
    """A relation: the amount is `factor` times the sum of the sources.

    Attributes
    ----------
    sources : one or two amounts that are drawn before.
    factor : positive.
    """

    sources: tuple[str, ...]
    factor: float

    def value(self, amounts: Mapping[str, np.ndarray], resolution: float) -> np.ndarray:
        """Return the amount that follows, in whole multiples of its resolution, (n,).

        Parameters
        ----------
        amounts : the sources, in data units, each (n,).
        resolution : the grid step of the amount.
        """
        total = np.sum([amounts[source] for source in self.sources], axis=0)
        return np.round(self.factor * total / resolution)

    def applies(self, amounts: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return where no source is zero, (n,) bool."""
        return np.all([amounts[source] != 0 for source in self.sources], axis=0)


class StoredTie(Stored):
    """A `Tie` as it is stored."""

    sources: Annotated[Listed[Text], Field(min_length=1, max_length=2)]
    factor: Annotated[float, Field(gt=0, le=1e9)]

    def tie(self) -> Tie:
        """Return the tie."""
        return Tie(self.sources, self.factor)


def find_ties(
    amounts: Mapping[str, np.ndarray], resolutions: Mapping[str, float], seed: int = 0
) -> dict[str, tuple[Tie, ...]]:
    """Return the relations of each amount to earlier ones that occur far more often than by chance.

    The share of records that have a relation is taken among those in which the amount and the sources are
    not zero. By chance, it is what amounts of other records give.

    Parameters
    ----------
    amounts : (n,) amounts in data units, by name, in the order in which they are drawn.
    resolutions : the grid step of each amount.
    seed : of the records that are searched, if there are many, and of the comparison with chance.
    """
    rng = np.random.default_rng(seed)
    n = len(next(iter(amounts.values()), ()))
    rows = rng.permutation(n)[:SAMPLE]
    sample = {name: values[rows] for name, values in amounts.items()}
    found: dict[str, tuple[Tie, ...]] = {}
    names = list(sample)
    for j, name in enumerate(names):
        grid = np.round(sample[name] / resolutions[name])
        left = grid != 0  # what no tie explains yet
        ties: list[Tie] = []
        for tie in _candidates(sample, names[:j], name, resolutions[name]):
            if (
                len(ties) < MAX_TIES
                and (tied := _tied(tie, sample, grid, left, resolutions[name], rng)) is not None
            ):
                ties.append(tie)
                left = left & ~tied
        if ties:
            found[name] = tuple(ties)
    return found


def _candidates(
    amounts: Mapping[str, np.ndarray], earlier: list[str], name: str, resolution: float
) -> Iterator[Tie]:
    """Yield relations that may hold: equality first, then sums, then multiples."""
    yield from (Tie((source,), 1.0) for source in earlier)
    positive = [source for source in earlier if (amounts[source] >= 0).all()]
    yield from (Tie(pair, 1.0) for pair in combinations(positive, 2))
    for source in earlier:
        both = (amounts[source] != 0) & (np.abs(amounts[name]) > 10 * resolution)
        if both.sum() >= MIN_TIED:
            factors = np.round(amounts[name][both] / amounts[source][both], DIGITS)
            values, counts = np.unique(factors, return_counts=True)
            usual = float(values[np.argmax(counts)])
            if counts.max() >= MIN_TIED and usual > 0 and usual != 1:
                yield Tie((source,), usual)


def _tied(
    tie: Tie,
    amounts: Mapping[str, np.ndarray],
    grid: np.ndarray,
    left: np.ndarray,
    resolution: float,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """Return the records that are tied; None if they are too few, or no more than by chance."""
    both = left & tie.applies(amounts)
    n = int(both.sum())
    if n < MIN_TIED:
        return None
    value = tie.value(amounts, resolution)
    tied = both & (grid == value)
    if tied.sum() < MIN_TIED or len(np.unique(grid[tied])) < MIN_VALUES:
        return None
    share = tied.sum() / n
    chance = float(
        np.mean([np.mean(grid[both] == rng.permutation(value[both])) for _ in range(5)])
    )
    return tied if share - chance >= MIN_EXCESS and share >= MIN_RATIO * chance else None
