"""Pairs of replacements that together bring an area to its controls.

Two replacements, each of a unit of one record by that of another, must add up to what is missing. Ten
thousand replacements have fifty million pairs. Those that fit are found by sorting: a random number for each
control turns a vector of changes into one number (meeting in the middle; Horowitz and Sahni 1974, Computing
partitions with applications to the knapsack problem, Journal of the ACM 21: 277-292).
"""

from __future__ import annotations

import numpy as np

from microplex_pipeline.calibration.rounding.moves import LEAST, Misses, Pool

REPLACEMENTS = 10_000
MOST_PAIRS = 2_000  # that are compared by the misses that they leave


def replace_two(pool: Pool, misses: Misses, rng: np.random.Generator) -> bool:
    """Replace two units so that the last level misses none of its whole controls, if such a pair is found.

    Whole controls are those to which every record of the pool contributes a whole number. Of the pairs that
    meet them, to the nearest whole number, the one is made that leaves the least misses in total.

    Parameters
    ----------
    pool, misses : changed in place, if the misses' total falls.
    rng : source of the replacements that are tried.

    Returns
    -------
    Whether units were replaced.
    """
    losers, gainers = (
        np.flatnonzero(pool.units > pool.low),
        np.flatnonzero(pool.units < pool.high),
    )
    if len(losers) < 2 or len(gainers) < 2:
        return False
    taken, added = rng.choice(losers, REPLACEMENTS), rng.choice(gainers, REPLACEMENTS)
    whole = (misses.costs[-1] > 0) & (pool.dense == np.rint(pool.dense)).all(axis=0)
    numbers = rng.integers(-(2**62), 2**62, size=int(whole.sum()))
    # the sums wrap around, which keeps equal vectors equal
    of_record = pool.dense[:, whole].astype(np.int64) @ numbers
    wanted = np.rint(misses.left[-1, whole]).astype(np.int64) @ numbers
    first, second = _adding_up(of_record[added] - of_record[taken], wanted)
    apart = (taken[first] != taken[second]) & (added[first] != added[second])
    first, second = first[apart][:MOST_PAIRS], second[apart][:MOST_PAIRS]
    if not len(first):
        return False
    change = pool.dense[added] - pool.dense[taken]
    left = misses.left[:, None] - (change[first] + change[second])
    total = np.einsum("lpk,lk->p", np.abs(left), misses.costs)
    best = int(total.argmin())
    if total[best] > misses.total - LEAST:
        return False
    for replacement in (first[best], second[best]):
        pool.move(int(taken[replacement]), -1, misses)
        pool.move(int(added[replacement]), 1, misses)
    return True


def _adding_up(numbers: np.ndarray, wanted: np.int64) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of numbers that have a partner with which they add up, and of one such partner."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    place = np.searchsorted(ordered, wanted - numbers)
    found = np.flatnonzero(ordered[np.minimum(place, len(ordered) - 1)] == wanted - numbers)
    return found, order[place[found]]
