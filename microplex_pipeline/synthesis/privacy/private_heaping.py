"""Heaping with differential privacy: noisy counts of how round the amounts of each size are."""

from __future__ import annotations

import numpy as np

from microplex_pipeline.synthesis.transforms.heaping import DECADES, LEVELS

N_CELLS = len(DECADES) * len(LEVELS)


def heaping_cells(grid: np.ndarray) -> np.ndarray:
    """Return the cell of each amount by its size and the coarsest level that divides it, (n,).

    Parameters
    ----------
    grid : (n,) amounts as multiples of the resolution; zero and missing ones belong to no cell, -1.
    """
    size = np.abs(np.nan_to_num(grid))
    decade = np.searchsorted(DECADES, size, side="right") - 1
    divides = (size[:, None] % LEVELS) == 0
    level = len(LEVELS) - 1 - np.argmax(divides[:, ::-1], axis=1)
    return np.where(size > 0, decade * len(LEVELS) + level, -1)


def heaping_shares(
    grid: np.ndarray, weights: np.ndarray, noise: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the shares of the levels by decade from noisy counts, (len(DECADES), len(LEVELS)).

    Parameters
    ----------
    weights : (n,) between 0 and 1, so that one record changes one count by at most 1.
    noise : standard deviation of the Gaussian noise.
    """
    cells = heaping_cells(grid)
    known = cells >= 0
    counts = np.bincount(cells[known], weights[known], minlength=N_CELLS)
    noisy = (counts + rng.normal(0.0, noise, N_CELLS)).reshape(len(DECADES), len(LEVELS))
    kept = np.where(noisy > noise, noisy, 0.0)
    kept[kept.sum(axis=1) == 0, 0] = 1.0  # nothing is known: not heaped
    return kept / kept.sum(axis=1, keepdims=True)


def heaped_numbers(low: float, high: float, count: int, shares: np.ndarray) -> np.ndarray:
    """Return whole numbers from low to below high, spread evenly over the multiples of each level.

    Parameters
    ----------
    low, high : positive.
    count : number of values.
    shares : see `heaping_shares`. A level without multiples here leaves its share to the next finer one.
    """
    of_decade = shares[np.searchsorted(DECADES, low, side="right") - 1]
    found: list[np.ndarray] = []
    left, given = 0.0, 0
    for level, share in zip(LEVELS[::-1], of_decade[::-1], strict=True):
        left += share * count
        first, last = np.ceil(low / level), np.ceil(high / level) - 1
        if level == 1:
            last, left = max(first, last), float(count)
        if last >= first:
            k = int(np.round(left)) - given
            places = first + np.floor((np.arange(k) + 0.5) / max(k, 1) * (last - first + 1))
            found.append(places * level)
            given += k
    return np.concatenate(found)
