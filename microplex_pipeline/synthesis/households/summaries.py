"""Summaries of a group's members: of those before a member, and of all of them.

Members are drawn one after the other. What the ones before have is told to the next by a few summaries that
do not depend on their order, such as sums and counts, and by the first and the last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import polars as pl

from microplex_pipeline.synthesis.input_checks import CATEGORY_TYPES

if TYPE_CHECKING:
    from microplex_pipeline.synthesis.synthesizer import Synthesizer

Expression = Callable[[pl.Expr], pl.Expr]

OF_EARLIER: dict[str, Expression] = {
    "sum": lambda x: x.fill_null(0).cum_sum().shift(1),
    "count": lambda x: (x != 0).fill_null(False).cast(pl.Int64).cum_sum().shift(1),
    "max": lambda x: x.cum_max().forward_fill().shift(1),
    "min": lambda x: x.cum_min().forward_fill().shift(1),
    "first": lambda x: x.first(),
    "last": lambda x: x.shift(1),
}
OF_ALL: dict[str, Expression] = {
    "sum": lambda x: x.sum(),
    "count": lambda x: (x != 0).cast(pl.Int64).sum(),
    "max": lambda x: x.max(),
    "min": lambda x: x.min(),
    "first": lambda x: x.first(),
    "last": lambda x: x.last(),
}
NUMERIC = ("sum", "count", "max", "min")
PLACE, ROW = "\0place", "\0row"  # names that no caller's column has


@dataclass(frozen=True)
class Summary:
    """A summary of a group's members.

    Attributes
    ----------
    take : "sum", "count" (of those not zero), "max", "min", "first" or "last".
    of : a column of the members, or several whose sum it is of.
    """

    take: str
    of: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.take not in OF_ALL:
            raise ValueError(f"a summary takes one of {', '.join(OF_ALL)}, not {self.take!r}")
        if not self.of:
            raise ValueError(f"the summary {self.take!r} names no column")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the summary of a text such as "sum:wage" or "max:wage+pension".

        Raises
        ------
        ValueError
            If the text has another form.
        """
        take, colon, columns = text.partition(":")
        of = tuple(name.strip() for name in columns.split("+"))
        if not colon or not all(of):
            raise ValueError(f"a summary is written as 'sum:column', not {text!r}")
        return cls(take.strip(), of)

    def of_earlier(self, group: str) -> pl.Expr:
        """Return the summary of the members before each, in the rows' order; null for a group's first."""
        of_first = pl.int_range(pl.len()) == 0
        return pl.when(~of_first).then(OF_EARLIER[self.take](self._value())).over(group)

    def of_all(self) -> pl.Expr:
        """Return the summary of all members, as an aggregation."""
        return OF_ALL[self.take](self._value())

    def _value(self) -> pl.Expr:
        if len(self.of) == 1 and self.take not in NUMERIC:
            return pl.col(self.of[0])
        # of what is known
        return pl.sum_horizontal(pl.col(name).cast(pl.Float64) for name in self.of)


def with_earlier(
    members: pl.DataFrame, summaries: Mapping[str, Summary], group: str
) -> pl.DataFrame:
    """Add summaries of the members before each one.

    Parameters
    ----------
    members : one row per member, in order within its group.
    summaries : by the name of the column to add.
    group : column of the groups' numbers.
    """
    return members.with_columns(s.of_earlier(group).alias(name) for name, s in summaries.items())


def summarized(
    members: pl.DataFrame, summaries: Mapping[str, Summary], group: str
) -> pl.DataFrame:
    """Return one row per group with summaries of all its members, in the order of the groups."""
    return members.group_by(group, maintain_order=True).agg(
        s.of_all().alias(name) for name, s in summaries.items()
    )


def draw_in_turn(
    members: pl.DataFrame,
    summaries: Mapping[str, Summary],
    group: str,
    draw: Callable[[pl.DataFrame, int], pl.DataFrame],
    seeds: Callable[[int], int],
) -> pl.DataFrame:
    """Draw the groups' first members, then the second ones given the first, and so on.

    Parameters
    ----------
    members : one row per member, in order within its group, before anything is drawn.
    summaries : of the members before each, by name, added to what `draw` is given.
    group : column of the groups' numbers.
    draw : takes members, no two of a group, and a seed; returns the same rows with what is drawn.
    seeds : takes a member's place in its group, from 0; returns a seed.

    Returns
    -------
    The members as drawn, in the order of `members`.
    """
    place = pl.int_range(pl.len()).over(group)
    placed = members.with_columns(place.alias(PLACE), pl.int_range(pl.len()).alias(ROW))
    done: pl.DataFrame | None = None
    for k in range(int(placed[PLACE].max()) + 1):  # type: ignore[arg-type]
        turn = placed.filter(pl.col(PLACE) == k)
        if done is None:
            known = turn.with_columns(pl.lit(None).alias(name) for name in summaries)
        else:
            before = done.join(turn.select(group), on=group, how="semi")
            both = pl.concat([before, turn], how="diagonal_relaxed").sort(ROW)
            known = with_earlier(both, summaries, group).filter(pl.col(PLACE) == k)
            known = known.select(*turn.columns, *summaries)
        drawn = draw(known, seeds(k)).drop(*summaries, strict=False)
        done = drawn if done is None else pl.concat([done, drawn], how="vertical_relaxed")
    assert done is not None
    return done.sort(ROW).drop(PLACE, ROW)


def as_known(frame: pl.DataFrame, model: Synthesizer, names: Collection[str]) -> pl.DataFrame:
    """Return a frame in which categories of summaries that no training record had are missing.

    A synthetic member can be what no earlier member was in training, where only later ones were.

    Parameters
    ----------
    model : fitted with the summaries among its conditions.
    names : of the summaries.
    """
    categories = {c.name: c.categories for c in model.transformer_.conditions if not c.numeric}
    return frame.with_columns(
        pl.when(pl.col(name).is_in(categories[name])).then(pl.col(name)).alias(name)
        for name in names
        # values of another kind are refused by the model
        if name in categories and frame.schema[name] in CATEGORY_TYPES
    )
