"""The parts of a survey's schema: conditions, amounts, later columns, identities, ages, ageing, limits."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from microplex_pipeline.data_files import FileName, Strict


class Condition(Strict):
    """A column that is known before the amounts are drawn."""

    name: str
    kind: Literal["numeric", "ordinal", "categorical"]
    labels: dict[int, str] = Field(default_factory=dict)


class Target(Strict):
    """An amount to synthesize."""

    name: str
    sign: Literal["nonnegative", "any"]
    unit: str
    origin: Literal["survey", "scaled", "augmented", "imputed"]
    headline: bool


class UnitSummary(Strict):
    """A summary of a household's units.

    Attributes
    ----------
    take : the sum, the number of those that are not zero, the largest, smallest, first or last value.
    of : columns of the units whose sum is summarized.
    """

    name: str
    take: Literal["sum", "count", "max", "min", "first", "last"]
    of: list[str] = Field(min_length=1)


class Drawn(Strict):
    """An amount, never negative, that is drawn after the targets on which it hangs.

    Attributes
    ----------
    only_where : an earlier drawn column that must be positive where this one is.
    cap : largest value, in dollars of the surveyed year.
    step : the value is a whole multiple of it, in dollars of the surveyed year.
    """

    name: str
    origin: Literal["augmented", "imputed"]
    only_where: str | None = None
    cap: float | None = Field(None, gt=0)
    step: float | None = Field(None, gt=0)


class DrawnAfter(Strict):
    """The columns that are drawn after the targets, and what they are drawn from beside the conditions."""

    given: list[str]
    columns: list[Drawn]


class Computed(Strict):
    """A column that is computed from others.

    Attributes
    ----------
    terms : factors by column; their sum is rounded down to a whole number.
    edges : if there are any, the column is the number of them that the sum reaches.
    """

    name: str
    unit: str
    terms: dict[str, float] = Field(min_length=1)
    edges: list[float] = Field(default_factory=list)


class TotalIdentity(Strict):
    """A column that is the sum of others."""

    kind: Literal["total"]
    total: str
    parts: list[str]


class PartIdentity(Strict):
    """A non-negative column that never exceeds another one; its share of that one is modelled."""

    kind: Literal["part"]
    part: str
    whole: str

    @property
    def share(self) -> str:
        """Name of the modelled share."""
        return f"{self.part}_share"


class ZeroUnlessIdentity(Strict):
    """Columns that are zero unless another one has a given value."""

    kind: Literal["zero_unless"]
    columns: list[str]
    column: str
    equals: int


Identity = Annotated[
    TotalIdentity | PartIdentity | ZeroUnlessIdentity, Field(discriminator="kind")
]


class AgeBand(Strict):
    """Dependants of a band of ages, as a survey counts them.

    Attributes
    ----------
    first, last : youngest and oldest age, in whole years.
    count, less : columns whose sum, less the sum of the others, is the number of persons.
    filers : first and last age of the heads and spouses whom the columns count, too; None if they count
        dependants only.
    """

    first: int = Field(ge=0, le=120)
    last: int = Field(ge=0, le=120)
    count: list[str] = Field(min_length=1)
    less: list[str] = Field(default_factory=list)
    filers: tuple[int, int] | None = None

    @model_validator(mode="after")
    def _first_is_not_after_last(self) -> Self:
        if self.first > self.last:
            raise ValueError(f"the band {self.first} to {self.last} has no ages")
        return self


class PersonAges(Strict):
    """Where a survey has the ages of a unit's persons.

    Attributes
    ----------
    head, spouse : columns of their ages.
    no_spouse : value of `spouse` in units without one.
    bands : of dependants.
    """

    head: str
    spouse: str
    no_spouse: int
    bands: list[AgeBand]


class StateScaling(Strict):
    """Columns that the source multiplied by one factor per state."""

    columns: list[str]
    file: FileName
    factor: str


class Ageing(Strict):
    """Files of growth factors and population, for years after the last survey."""

    factors: FileName
    map: FileName
    negative_factors: dict[str, str]
    population: FileName


class Limit(Strict):
    """A limit of a survey that files made from it inherit.

    Attributes
    ----------
    topic : what it concerns, in a few words.
    text : what is known about it, and for what the file must therefore not be used.
    """

    topic: str
    text: str
