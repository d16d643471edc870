"""Kinds of identities: a sum or product of columns, a part of a whole, bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field

from microplex_pipeline.synthesis.stored_form import Listed, Stored, Text


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


def stored_form_of(identity: Identity, resolution: float) -> dict[str, Any]:
    """Return an identity in the form of `StoredIdentity`, with the grid step of its target."""
    if isinstance(identity, Sum):
        return {
            "kind": "sum", "columns": identity.plus, "minus": identity.minus, "resolution": resolution,
        }  # fmt: skip
    if isinstance(identity, Product):
        return {"kind": "product", "columns": identity.operands, "resolution": resolution}
    if isinstance(identity, PartOf):
        return {"kind": "part", "columns": (identity.whole,), "resolution": resolution}
    return {"kind": "between", "low": identity.low, "high": identity.high}


def stated(name: str, identity: Identity) -> str:
    """Return an identity of a target in words, for messages."""
    if isinstance(identity, PartOf):
        return f"that {name!r} is part of {identity.whole!r}"
    if isinstance(identity, Between):
        low, high = ("any" if b is None else f"{b:g}" for b in (identity.low, identity.high))
        return f"that {name!r} lies between {low} and {high}"
    return f"{name} = {identity}"
