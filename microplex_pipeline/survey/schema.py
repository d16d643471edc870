"""The declarative schema of a survey, read from a YAML file; unknown keys are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from microplex_pipeline.data_files import FileName, Strict, load_declared
from microplex_pipeline.survey.errors import SurveyError

DERIVED_CONDITIONS = ("unit_number", "household_units", "household_persons")


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


class LeftOut(Strict):
    """Columns that are not synthesized."""

    origin: Literal["imputed", "formula"]
    columns: list[str]


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


class SurveySchema(Strict):
    """The description of a survey: its file, keys, conditions, targets and identities."""

    name: FileName  # also the name of the folder of later editions
    title: str
    file: FileName
    columns_file: FileName
    years: list[int] = Field(min_length=1)
    year: str
    state: str
    household: str
    unit: str
    weight: str
    conditions: list[Condition]
    carried: list[str]
    persons: str
    targets: list[Target]
    discrete_targets: list[str]
    left_out: list[LeftOut]
    identities: list[Identity]
    household_amounts: list[str] = Field(default_factory=list)
    household_income: list[str]
    state_scaling: StateScaling
    ageing: Ageing
    limits: list[Limit] = Field(default_factory=list)

    @model_validator(mode="after")
    def _identities_name_known_columns(self) -> Self:
        known = {t.name for t in self.targets} | {i.total for i in self.totals}
        known |= {c.name for c in self.conditions}
        named = [
            *(p for i in self.totals for p in i.parts),
            *(c for i in self.parts for c in (i.part, i.whole)),
            *(c for i in self.zero_unless for c in (*i.columns, i.column)),
            *self.household_amounts,
            *self.household_income,
            *self.state_scaling.columns,
            *self.discrete_targets,
        ]
        if unknown := sorted(set(named) - known):
            raise ValueError(
                f"columns that are neither target, total nor condition: {', '.join(unknown)}"
            )
        return self

    @property
    def totals(self) -> list[TotalIdentity]:
        """Identities in which a total is the sum of its parts."""
        return [i for i in self.identities if isinstance(i, TotalIdentity)]

    @property
    def parts(self) -> list[PartIdentity]:
        """Identities in which a part does not exceed the whole."""
        return [i for i in self.identities if isinstance(i, PartIdentity)]

    @property
    def zero_unless(self) -> list[ZeroUnlessIdentity]:
        """Identities that declare structural zeros."""
        return [i for i in self.identities if isinstance(i, ZeroUnlessIdentity)]

    @property
    def target_columns(self) -> list[str]:
        """Amounts that are synthesized, in the order in which they are drawn."""
        return [t.name for t in self.targets]

    @property
    def amount_columns(self) -> list[str]:
        """Amounts that are synthesized, followed by their totals."""
        return [*self.target_columns, *(i.total for i in self.totals)]

    @property
    def headline_columns(self) -> list[str]:
        """Amounts that are suitable for judging the synthesis, followed by the totals of such amounts."""
        own = [t.name for t in self.targets if t.headline]
        return [*own, *(i.total for i in self.totals if set(i.parts) <= set(own))]

    @property
    def headline_totals(self) -> list[str]:
        """Headline amounts, with totals in place of their parts."""
        parts = {part for total in self.totals for part in total.parts}
        return [name for name in self.headline_columns if name not in parts]

    @property
    def model_columns(self) -> list[str]:
        """Columns that the synthesizer draws: the targets, with parts replaced by their shares."""
        shares = {i.part: i.share for i in self.parts}
        return [shares.get(name, name) for name in self.target_columns]

    @property
    def only_where(self) -> dict[str, str | tuple[str, str | int]]:
        """Structural zeros of the modelled columns, in the form that the synthesizer expects.

        A part's share can be non-zero only if the whole is; a zero-unless column only in its category;
        and a household's amount only on the first unit.
        """
        rules: dict[str, str | tuple[str, str | int]] = {i.share: i.whole for i in self.parts}
        rules |= dict.fromkeys(self.household_amounts, ("unit_number", 1))
        for identity in self.zero_unless:
            for column in identity.columns:
                if column in self.model_columns:
                    rules[column] = (identity.column, str(identity.equals))
        return rules

    @property
    def condition_columns(self) -> list[str]:
        """Names of the conditions, in order."""
        return [c.name for c in self.conditions]

    @property
    def labels(self) -> dict[str, dict[int, str]]:
        """Labels of the codes of coded conditions, by column and code."""
        return {c.name: c.labels for c in self.conditions if c.labels}

    @property
    def source_columns(self) -> list[str]:
        """Columns that the survey file must have."""
        own = [c for c in self.condition_columns if c not in DERIVED_CONDITIONS]
        keys = [self.year, self.state, self.household, self.unit, self.weight]
        left_out = [c for group in self.left_out for c in group.columns]
        return list(dict.fromkeys([*keys, *own, *self.carried, *self.amount_columns, *left_out]))


def load_schema(path: str | Path) -> SurveySchema:
    """Read a survey's schema.

    Raises
    ------
    SurveyError
        If the file is missing, is not valid YAML, or has keys or values that a schema does not allow.
    """
    return load_declared(path, SurveySchema, "survey schema", SurveyError)
