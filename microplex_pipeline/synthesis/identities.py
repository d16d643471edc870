"""Identities: what holds between columns in every row, so that only the free part is modelled.

A sum or product is computed from its operands. A part of a whole is modelled as its share of it. An amount
with bounds is drawn within them. (An amount that is zero unless something holds is a rule of `only_where`.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import Field

from microplex_pipeline.synthesis.stored_form import Listed, Stored, Text
from microplex_pipeline.synthesis.target_transforms import detect_resolution

SHARE = 1e-4  # grid of a part's share
HALF = 0.5 + 1e-6  # of a grid step: what rounding explains


@dataclass(frozen=True)
class Sum:
    """The target is the sum of some columns minus others, such as savings = income - expenditure.

    Attributes
    ----------
    plus, minus : names of columns.
    """

    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("plus", "minus"):
            object.__setattr__(self, name, _names(getattr(self, name)))
        if not self.operands:
            raise ValueError("a sum needs at least one column")

    @property
    def operands(self) -> tuple[str, ...]:
        """The columns that it is computed from."""
        return (*self.plus, *self.minus)

    def value(self) -> pl.Expr:
        """Return the target; null where an operand is."""
        signed = [pl.col(n).cast(pl.Float64) for n in self.plus]
        signed += [-pl.col(n).cast(pl.Float64) for n in self.minus]
        return pl.sum_horizontal(signed, ignore_nulls=False)

    def __str__(self) -> str:
        """Return it as it is written on paper."""
        return " - ".join([" + ".join(self.plus) or "0", *self.minus])


@dataclass(frozen=True)
class Product:
    """The target is the product of some columns, such as pay = hours * wage.

    Attributes
    ----------
    operands : names of at least two columns.
    """

    operands: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "operands", _names(self.operands))
        if len(self.operands) < 2:
            raise ValueError("a product needs at least two columns")

    def value(self) -> pl.Expr:
        """Return the target; null where an operand is."""
        result = pl.lit(1.0)
        for name in self.operands:
            result = result * pl.col(name).cast(pl.Float64)
        return result

    def __str__(self) -> str:
        """Return it as it is written on paper."""
        return " * ".join(self.operands)


@dataclass(frozen=True)
class PartOf:
    """The target lies between zero and another column, such as qualified dividends within dividends.

    Attributes
    ----------
    whole : name of the column.
    """

    whole: str


@dataclass(frozen=True)
class Between:
    """The target lies between two numbers, such as hours a week between 0 and 168.

    Attributes
    ----------
    low, high : None for no bound.
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise ValueError("give a lower or an upper bound")
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise ValueError(f"the lower bound {self.low:g} is above the upper one, {self.high:g}")


Identity = Sum | Product | PartOf | Between


class StoredIdentity(Stored):
    """An identity of one target as it is stored."""

    kind: Literal["sum", "product", "part", "between"]
    columns: Listed[Text] = ()
    minus: Listed[Text] = ()
    low: float | None = None
    high: float | None = None
    resolution: Annotated[float, Field(ge=1e-30, le=1e15)] = 1.0

    def identity(self) -> Identity:
        """Return the identity."""
        if self.kind == "sum":
            return Sum(self.columns, self.minus)
        if self.kind == "product":
            return Product(self.columns)
        if self.kind == "between":
            return Between(self.low, self.high)
        if len(self.columns) != 1:
            raise ValueError("a part has one whole")
        return PartOf(self.columns[0])


def _names(given: Sequence[str] | str) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


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
            If one does not hold in some records.
        """
        resolutions = {
            name: detect_resolution(data[name].drop_nulls().cast(pl.Float64).to_numpy())
            for name in (*self.computed, *self.parts)
        }
        result = Identities(self.of_target, resolutions)
        for name, broken in result.broken(data).items():
            if broken.any():
                first = int(np.argmax(broken))
                raise ValueError(
                    f"{_stated(name, self.of_target[name])} does not hold in {broken.sum()} of {data.height} "
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
        """Return drawn records with parts and computed targets as amounts."""
        for name, identity in self.of_target.items():
            if isinstance(identity, PartOf):
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
                    f"{_stated(name, identity)} does not hold in {broken.sum()} rows: correct them first"
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
            name: _stored(i, self.resolutions.get(name, 1.0)) for name, i in self.of_target.items()
        }


def _stored(identity: Identity, resolution: float) -> dict[str, Any]:
    if isinstance(identity, Sum):
        return {
            "kind": "sum", "columns": identity.plus, "minus": identity.minus, "resolution": resolution,
        }  # fmt: skip
    if isinstance(identity, Product):
        return {"kind": "product", "columns": identity.operands, "resolution": resolution}
    if isinstance(identity, PartOf):
        return {"kind": "part", "columns": (identity.whole,), "resolution": resolution}
    return {"kind": "between", "low": identity.low, "high": identity.high}


def _stated(name: str, identity: Identity) -> str:
    if isinstance(identity, PartOf):
        return f"that {name!r} is part of {identity.whole!r}"
    if isinstance(identity, Between):
        low, high = ("any" if b is None else f"{b:g}" for b in (identity.low, identity.high))
        return f"that {name!r} lies between {low} and {high}"
    return f"{name} = {identity}"


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
                f"identities: {_stated(name, identity)} names {', '.join(unknown)}, which is no amount among "
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
