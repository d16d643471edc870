"""Marginal distribution of positive whole numbers: atoms, a thinned continuous part, a Pareto tail.

Survey amounts are heaped (multiples of 100, 500, 1000; caps; benefit schedules). A value held by at
least `atom_holders` records becomes an atom, a point mass, and may be reproduced. All other values enter
only through a piecewise-linear distribution function whose knots lie between values, so that a single
respondent's amount is reproduced only by chance, with the probability that a density gives it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from microplex_pipeline.synthesis.transforms.heaping import Heaping, fit_heaping

# smallest number of respondents between two knots: a density fitted to m respondents favours their own
# amounts over other people's by about 1 / m
INTERVAL_HOLDERS = 40
PIECE = 1.3  # largest ratio of neighbouring knots inside an interval
MAX_PIECES = 40
STEEPEST = 30.0  # largest power of a density inside an interval
# share of an interval's mass that is spread evenly over its pieces, so that rounding leaves no value
# without mass
SPREAD = 1e-5
ROUNDING = 1e-9
EXACT = 2.0**51  # floats below it can lie halfway between whole numbers
LARGEST = 1e250
FARTHEST = 1000.0  # the distribution ends at this multiple of the largest value


@dataclass(frozen=True)
class Marginal:
    """Piecewise-linear distribution function G of whole numbers >= 1.

    The whole number x owns the cell [G(x - 1/2), G(x + 1/2)] of rank space.

    Attributes
    ----------
    x : (k,) increasing knots halfway between whole numbers; the first is at least 0.5.
    u : (k,) distribution function at the knots, from 0 to 1.
    heaping : distributes the mass between two knots over the whole numbers there.
    bound : the largest number that can be drawn. The distribution extends further, so that no
        observation is impossible, but with less than a hundredth of one record's mass.
    """

    x: np.ndarray
    u: np.ndarray
    heaping: Heaping
    bound: float

    def check(self) -> None:
        """Raise ValueError if this is no distribution function of whole numbers."""
        self.heaping.check()
        x, u = self.x, self.u
        if len(x) < 2 or (np.diff(x) <= 0).any():
            raise ValueError("its knots do not increase")
        small = x < EXACT
        if x[0] < 0.5 or x[-1] > LARGEST or (np.floor(x) + 0.5 != x)[small].any():
            raise ValueError("its knots do not lie halfway between whole numbers")
        if (np.diff(u) < -ROUNDING).any() or abs(u[0]) > ROUNDING or abs(u[-1] - 1) > ROUNDING:
            raise ValueError("its ranks do not rise from 0 to 1")
        if not 1 <= self.bound <= x[-1]:
            raise ValueError(f"its bound {self.bound:g} is not among its numbers")

    @cached_property
    def _h(self) -> np.ndarray:
        """Knots on the scale on which the distribution function is piecewise linear."""
        return self.heaping.cumulated(np.floor(self.x))

    def cell(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rank cells (low, high) of whole numbers (n,), each of shape (n,).

        A value beyond the end of the distribution has an empty cell (low == high), i.e. probability
        zero.
        """
        low = np.interp(self.heaping.cumulated(values - 1), self._h, self.u)
        return low, np.maximum(np.interp(self.heaping.cumulated(values), self._h, self.u), low)

    def inverse(self, ranks: np.ndarray) -> np.ndarray:
        """Return the whole numbers (float64, (n,)) whose cells contain the given ranks in (0, 1).

        Ranks beyond that of `bound` are mirrored below it, so that no mass piles up at the bound.
        """
        _, last = self.cell(np.array([self.bound]))
        ranks = np.where(ranks > last, np.maximum(2 * last - ranks, 0.0), ranks)
        values = self.heaping.whole_number(np.interp(ranks, self.u, self._h))
        return np.clip(values, 1, self.bound)

    def ranks_at(self, x: np.ndarray) -> np.ndarray:
        """Return the distribution function at numbers halfway between whole numbers, each of shape (n,)."""
        return np.interp(self.heaping.cumulated(np.floor(x)), self._h, self.u)

    def rescaled(self, edges: np.ndarray, ranks: np.ndarray) -> Marginal:
        """Return the distribution with given ranks at some edges, and its own shape between them.

        Parameters
        ----------
        edges : (k,) increasing, halfway between whole numbers; there is mass between any two, and on
            either side.
        ranks : (k,) increasing, between 0 and 1.
        """
        x = np.unique(np.concatenate([self.x, edges]))
        old, new = (np.concatenate([[0.0], u, [1.0]]) for u in (self.ranks_at(edges), ranks))
        return replace(self, x=x, u=np.interp(self.ranks_at(x), old, new))

    def mixed_with(
        self, other: Marginal, share: float, *, beyond: float = np.inf, share_beyond: float = 0.0
    ) -> Marginal:
        """Return share * self + (1 - share) * other, a small area's margin shrunk towards another.

        Numbers beyond `beyond`, at which both have the same rank, are mixed by `share_beyond` instead.

        Draws stay within this margin's own bound: the nation's largest fortune, drawn once in a small
        area, would be most of that area's total.
        """
        x = np.unique(np.concatenate([self.x, other.x]))
        heaping = Heaping(share * self.heaping.shares + (1 - share) * other.heaping.shares)
        shares = np.where(x > beyond, share_beyond, share)
        ranks = shares * self.ranks_at(x) + (1 - shares) * other.ranks_at(x)
        return Marginal(x, ranks, heaping, self.bound)


def fit_marginal(
    values: np.ndarray,
    weights: np.ndarray,
    *,
    atom_holders: int = 3,
    max_knots: int = 80,
    tail_factor: float = 2.0,
) -> Marginal:
    """Fit the distribution of positive whole numbers.

    Parameters
    ----------
    values : (n,) whole numbers >= 1, n >= 1.
    weights : (n,) positive weights.
    atom_holders : a value held by at least this many records becomes an atom.
    max_knots : approximate largest number of knots outside the atoms; fewer smooth more.
    tail_factor : draws are at most tail_factor times the largest value, plus a few grid steps; the
        distribution itself ends at a thousand times the largest value.

    Notes
    -----
    The tail is a Pareto distribution with the Hill estimate of the top 5 %, limited to 0.05 to 0.8 (Hill
    1975, Annals of Statistics 3: 1163-1174). Its mass is about half that of one more record.
    """
    n = len(values)
    distinct, index, holders = np.unique(values, return_inverse=True, return_counts=True)
    mass = np.bincount(index, weights / weights.sum())
    is_atom = holders >= atom_holders
    atoms, atom_mass = distinct[is_atom], mass[is_atom]
    tail_mass = 0.5 / (n + 1)
    tail_x, tail_u = _tail(values, tail_mass, tail_factor)
    tail_sum = float(np.diff(tail_u, prepend=0.0)[:-1] @ tail_x[:-1])
    x, u = _continuous_part(
        distinct[~is_atom], mass[~is_atom], holders[~is_atom], n, max_knots, tail_sum
    )
    if not x:  # all values are atoms: leave a little mass around them for unobserved values
        x, u = [0.5], [0.0]
        if distinct[0] > 1:
            x.append(distinct[0] - 0.5)
            u.append(tail_mass)
    if distinct[-1] + 0.5 > x[-1]:
        x.append(distinct[-1] + 0.5)
        u.append(u[-1] + tail_mass)
    rare = ~is_atom[index]
    heaping = fit_heaping(values[rare], weights[rare])
    knots_x, knots_u = np.append(x, tail_x), np.append(u, u[-1] + tail_u)
    knots_u = knots_u / knots_u[-1] * max(1 - atom_mass.sum(), 4 * tail_mass)
    knots = np.unique(np.concatenate([knots_x, atoms - 0.5, atoms + 0.5]))
    knots = knots[knots >= 0.5]
    h, knots_h = heaping.cumulated(np.floor(knots)), heaping.cumulated(np.floor(knots_x))
    ranks = np.interp(h, knots_h, knots_u)
    steps = np.concatenate([[0.0], np.cumsum(atom_mass)])
    ranks = ranks + steps[np.searchsorted(atoms + 0.5, knots, side="right")]
    return Marginal(knots, ranks / ranks[-1], heaping, float(np.floor(tail_x[-2])))


def _continuous_part(
    values: np.ndarray,
    mass: np.ndarray,
    holders: np.ndarray,
    n: int,
    max_knots: int,
    tail_sum: float,
) -> tuple[list[float], list[float]]:
    """Return knots and thinned distribution function of the values that are not atoms.

    Knots lie between values. Each interval between two knots holds at least INTERVAL_HOLDERS records if
    there are that many, and the outermost intervals extend beyond their values, so that no interval
    narrows down one record's amount. The density within an interval is such that its mean is that of its
    records; the last interval's mean is lowered by the tail's contribution (`tail_sum`).

    Parameters
    ----------
    values, mass, holders : (k,) distinct values in increasing order, their mass and number of records.
    n : number of all records, those of atoms included.
    """
    if not len(values):
        return [], []
    per_knot = max(INTERVAL_HOLDERS, math.ceil(holders.sum() / max_knots))
    group = np.minimum(
        (np.cumsum(holders) - holders) // per_knot, max(holders.sum() // per_knot - 1, 0)
    )
    ends = np.flatnonzero(np.diff(group, append=group[-1] + 1) > 0)
    following = np.append(values, np.floor(1.1 * values[-1]) + 5)[ends + 1]
    edges = np.maximum(values[ends] + 0.5, np.floor((values[ends] + following) / 2) + 0.5)
    ranks = np.cumsum(mass)[ends]
    x, u = [0.5], [0.0]
    start = np.floor((values[0] + values[0] * 0.9) / 2) - 0.5
    if start > 0.5:
        x.append(start)
        u.append(min(0.5 / (n + 1), mass[0] / 2))
    sums = np.bincount(group, mass * values)[group[ends]]
    sums[-1] -= tail_sum
    masses = np.diff(ranks, prepend=0.0)
    for high, rank, total, p in zip(edges, ranks, sums, masses, strict=True):
        inner, shares = _falling(x[-1], float(high), float(total / p))
        below = u[-1]
        x += [*inner, float(high)]
        u += [*(below + (rank - below) * shares), float(rank)]
    return x, u


def _falling(low: float, high: float, mean: float) -> tuple[np.ndarray, np.ndarray]:
    """Return knots inside (low, high), and the shares below them, of a power density with a given mean.

    In a thin upper tail, forty records can span two orders of magnitude; a uniform density would give
    them a total many times too large. Only the mean of the forty or more records is used.
    """
    pieces = min(MAX_PIECES, math.ceil(math.log(high / low) / math.log(PIECE)))
    if pieces < 2:
        return np.zeros(0), np.zeros(0)
    knots = np.unique(np.floor(low * (high / low) ** (np.arange(pieces + 1) / pieces)) + 0.5)
    knots = np.concatenate([[low], knots[(knots > low) & (knots < high)], [high]])
    middle, width = (knots[1:] + knots[:-1]) / 2, np.diff(knots)

    log_width, log_middle = np.log(width), np.log(middle / middle[0])

    def masses(power: float) -> np.ndarray:
        log_mass = log_width - power * log_middle
        mass = np.exp(log_mass - log_mass.max())
        return (1 - SPREAD) * mass / mass.sum() + SPREAD / len(mass)

    few, many = -STEEPEST, STEEPEST  # the mean falls as the power grows
    for _ in range(60):
        power = (few + many) / 2
        few, many = (power, many) if masses(power) @ middle > mean else (few, power)
    return knots[1:-1], np.cumsum(masses((few + many) / 2))[:-1]


def _tail(values: np.ndarray, mass: float, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the knots of the Pareto tail beyond the largest value, and the mass below each of them."""
    top = np.sort(values)[::-1][: max(3, int(0.05 * len(values))) + 1]
    hill = np.mean(np.log(top[:-1] / top[-1])) if len(top) > 3 else 0.3
    hill = float(np.clip(hill, 0.05, 0.8))
    # a Pareto distribution truncated at the bound: censoring would pile up mass at twice the largest
    # amount and so disclose it
    powers = np.array([0.25, 0.5, 0.75, 1.0])
    rate = math.log(factor) / hill
    within = np.expm1(-rate * powers) / np.expm1(-rate) if rate else powers
    shares = np.append(0.99 * within, 1.0)
    x = top[0] * np.append(factor**powers, FARTHEST)
    # whole-number steps keep the knots apart if the largest value is small
    x = np.floor(x) + 0.5 + np.arange(1, len(x) + 1)
    return x, mass * shares
