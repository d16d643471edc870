"""Identities: what holds between columns in every row, so that only the free part is modelled.

A sum or product is computed from its operands. A part of a whole is modelled as its share of it. An amount
with bounds is drawn within them. (An amount that is zero unless something holds is a rule of `only_where`.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.transforms.identity_kinds import (
    Between,
    Identity,
    PartOf,
    Product,
    Sum,
    stated,
    stored_form_of,
)
from microplex_pipeline.synthesis.transforms.target_transforms import detect_resolution

SHARE = 1e-4  # grid of a part's share
HALF = 0.5 + 1e-6  # of a grid step: what rounding explains


@dataclass(frozen=True)
class Identities:
    """The identities of a synthesizer's targets.

    Attributes
    ----------
    of_target : by target, in the order in which they can be computed.
    resolutions : grid step of each target that is computed or a part, known after `fitted`.
    """

    of_target: Mapping[str, Identity]
    resolutions: Mapping[str, float]

    @property
    def computed(self) -> dict[str, Sum | Product]:
        """Targets that are computed, in order."""
        return {n: i for n, i in self.of_target.items() if isinstance(i, Sum | Product)}

    @property
    def parts(self) -> dict[str, str]:
        """The whole of each part."""
        return {n: i.whole for n, i in self.of_target.items() if isinstance(i, PartOf)}

    @property
    def bounds(self) -> dict[str, Between]:
        """Targets with bounds; of parts, those of their shares."""
        return {n: i for n, i in self.of_target.items() if isinstance(i, Between)} | {
            n: Between(0.0, 1.0) for n in self.parts
        }

    def modelled(self, targets: Sequence[str]) -> list[str]:
        """Return the targets that are not computed."""
        return [name for name in targets if name not in self.computed]

    def fitted(self, data: pl.DataFrame) -> Identities:
        """Return the identities with the grid steps of training records, in which they hold.

        Raises
        ------
        ValueError
            If one does not hold in some records, or computes with a column of text.
        """
        operands = {
            operand
            for identity in self.of_target.values()
            if not isinstance(identity, Between)
            for operand in (
                [identity.whole] if isinstance(identity, PartOf) else identity.operands
            )
        }
        for operand in sorted(operands):
            if not data[operand].dtype.is_numeric():
                raise ValueError(
                    f"an identity computes with {operand!r}, which has type {data[operand].dtype} and is no "
                    "number"
                )
        resolutions = {
            name: detect_resolution(data[name].drop_nulls().cast(pl.Float64).to_numpy())
            for name in (*self.computed, *self.parts)
        }
        result = Identities(self.of_target, resolutions)
        for name, broken in result.broken(data).items():
            if broken.any():
                first = int(np.argmax(broken))
                raise ValueError(
                    f"{stated(name, self.of_target[name])} does not hold in {broken.sum()} of {data.height} "
                    f"records (first: row {first}, where {name} is {data[name][first]}): correct them, or "
                    "leave the identity out"
                )
        return result

    def broken(self, data: pl.DataFrame) -> dict[str, np.ndarray]:
        """Return where each identity does not hold, by target, each (n,) bool; unknown values hold."""
        found = {}
        for name, identity in self.of_target.items():
            own = pl.col(name).cast(pl.Float64)
            if isinstance(identity, Sum | Product):
                gap = (own - identity.value()).abs()
                wrong = gap > HALF * self.resolutions[name] + 1e-9 * own.abs()
            elif isinstance(identity, PartOf):
                wrong = (own < 0) | (own > pl.col(identity.whole).cast(pl.Float64))
            else:
                low, high = identity.low, identity.high
                wrong = pl.lit(False)
                wrong = wrong if low is None else wrong | (own < low)
                wrong = wrong if high is None else wrong | (own > high)
            found[name] = data.select(wrong.fill_null(False).alias(name)).to_series().to_numpy()
        return found

    def free(self, data: pl.DataFrame) -> pl.DataFrame:
        """Return records with parts replaced by their shares of the wholes, which the model knows."""
        return data.with_columns(
            pl.when((pl.col(name) == 0) | (pl.col(whole) == 0))
            .then(0.0 * pl.col(name))
            .otherwise(pl.col(name) / pl.col(whole))
            .alias(name)
            for name, whole in self.parts.items()
        ).with_columns((pl.col(n) / SHARE).round() * SHARE for n in self.parts)

    def complete(self, data: pl.DataFrame) -> pl.DataFrame:
        """Return drawn records with parts and computed targets as amounts.

        Raises
        ------
        ValueError
            If a whole is negative in some records: it has no parts.
        """
        for name, identity in self.of_target.items():
            if isinstance(identity, PartOf):
                if count := int((data[identity.whole] < 0).sum()):
                    raise ValueError(
                        f"{identity.whole!r} is negative in {count} rows, so that {name!r} cannot be a part "
                        "of it: correct them first"
                    )
                share = pl.col(name).clip(0.0, 1.0)
                value = share * pl.col(identity.whole).cast(pl.Float64).clip(lower_bound=0.0)
                data = data.with_columns(self._rounded(name, value, down_to=identity.whole))
            elif not isinstance(identity, Between):
                data = data.with_columns(self._rounded(name, identity.value()))
        return data

    def solved(self, data: pl.DataFrame) -> pl.DataFrame:
        """Return incomplete records with what follows from the identities alone filled in.

        A sum whose target and operands are known but for one gives that one.

        Raises
        ------
        ValueError
            If what is known contradicts an identity, or a total, product or part is known and cannot be kept,
            because several of its operands are missing.
        """
        for name, identity in reversed(list(self.of_target.items())):
            if not isinstance(identity, Sum):
                continue
            for operand in identity.operands:
                others = [n for n in identity.operands if n != operand]
                known = pl.all_horizontal(pl.col(n).is_not_null() for n in [name, *others])
                gap = (
                    pl.col(name).cast(pl.Float64)
                    - Sum(
                        tuple(n for n in identity.plus if n != operand),
                        tuple(n for n in identity.minus if n != operand),
                    ).value()
                    if others
                    else pl.col(name).cast(pl.Float64)
                )
                solution = gap if operand in identity.plus else -gap
                filled = pl.when(pl.col(operand).is_null() & known).then(solution)
                data = data.with_columns(pl.coalesce(pl.col(operand), filled).alias(operand))
        for name, broken in self.broken(data).items():
            identity = self.of_target[name]
            if broken.any():
                raise ValueError(
                    f"{stated(name, identity)} does not hold in {broken.sum()} rows: correct them first"
                )
            if isinstance(identity, Between):
                continue
            operands = [identity.whole] if isinstance(identity, PartOf) else identity.operands
            lost = data[name].is_not_null() & pl.Series(
                data.select(pl.any_horizontal(pl.col(n).is_null() for n in operands)).to_series()
            )
            if lost.any():
                raise ValueError(
                    f"{name!r} is known in {lost.sum()} rows in which {' and '.join(operands)} are not: it "
                    "cannot be kept. Fill them in, or leave it empty in these rows"
                )
        return data

    def _rounded(self, name: str, value: pl.Expr, down_to: str | None = None) -> pl.Expr:
        """Return a value on the target's grid, as one would type it; never above another column."""
        step = self.resolutions[name]
        if down_to is not None:
            limit = (pl.col(down_to).cast(pl.Float64) / step + 1e-9).floor()
            value = pl.min_horizontal((value / step).round(), limit) * step
        if step >= 1:
            return ((value / step).round() * step).cast(pl.Int64).alias(name)
        return ((value / step).round() / round(1 / step)).alias(name)

    def stored(self) -> dict[str, dict[str, Any]]:
        """Return the JSON form, by target."""
        return {
            name: stored_form_of(i, self.resolutions.get(name, 1.0))
            for name, i in self.of_target.items()
        }


def parse_identities(
    given: Mapping[str, Identity],
    targets: Sequence[str],
    conditions: Sequence[str],
    discrete: Sequence[str],
    elsewhere: Mapping[str, Sequence[str]],
) -> Identities:
    """Return checked identities, in the order in which they can be computed.

    Parameters
    ----------
    given : by target.
    targets, conditions, discrete : names of the synthesizer's columns.
    elsewhere : by the name of an option, the targets that it is about, which then cannot be computed.

    Raises
    ------
    ValueError
        If one is of no amount among the targets, names an unknown column or a category, or depends on itself.
    """
    amounts = [name for name in targets if name not in discrete]
    known = {*amounts, *conditions}
    graph: dict[str, tuple[str, ...]] = {}
    for name, identity in given.items():
        if name not in amounts:
            raise ValueError(f"identities: {name!r} is not an amount among the targets")
        if not isinstance(identity, Sum | Product | PartOf | Between):
            raise ValueError(
                f"identities: that of {name!r} must be a Sum, Product, PartOf or Between, not {identity!r}"
            )
        graph[name] = ()
        if isinstance(identity, PartOf):
            graph[name] = (identity.whole,)
        elif not isinstance(identity, Between):
            graph[name] = identity.operands
        if unknown := sorted(set(graph[name]) - known):
            raise ValueError(
                f"identities: {stated(name, identity)} names {', '.join(unknown)}, which is no amount among "
                "the targets and no condition"
            )
        for option, names in elsewhere.items():
            if isinstance(identity, Sum | Product) and name in names:
                raise ValueError(f"identities: {name!r} is computed, so {option} cannot name it")
    try:
        order = [name for name in TopologicalSorter(graph).static_order() if name in given]
    except CycleError as error:
        raise ValueError(
            f"identities depend on each other: {' -> '.join(error.args[1])}"
        ) from error
    return Identities({name: given[name] for name in order}, {})
