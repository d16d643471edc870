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


class SurveySchema(Strict):
    """The description of a survey: its file, keys, conditions, targets and identities.

    Attributes
    ----------
    ranges : smallest and largest value of columns; a survey with a value outside is refused.
    """

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
    ranges: dict[str, tuple[int, int]]
    persons: str
    ages: PersonAges
    targets: list[Target]
    discrete_targets: list[str]
    drawn_after: DrawnAfter
    computed: list[Computed]
    identities: list[Identity]
    household_amounts: list[str] = Field(default_factory=list)
    family: str
    family_amounts: list[str] = Field(default_factory=list)
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
        if unknown := sorted(set(self.ranges) - known - {*self.carried}):
            raise ValueError(f"ranges: columns that the records do not have: {', '.join(unknown)}")
        of_ages = {self.ages.head, self.ages.spouse}
        of_ages |= {c for band in self.ages.bands for c in (*band.count, *band.less)}
        if unknown := sorted(of_ages - {c.name for c in self.conditions} - {*self.carried}):
            raise ValueError(
                f"ages: columns that are neither condition nor carried: {', '.join(unknown)}"
            )
        return self

    @model_validator(mode="after")
    def _later_columns_follow_from_earlier_ones(self) -> Self:
        known = {*self.amount_columns, *self.condition_columns, *self.carried}
        known |= {self.household, self.unit, "household_income"}
        early = known | {c.name for c in self.computed_before}
        faults = [(c, "drawn_after.given") for c in self.drawn_after.given if c not in early]
        names = [c.name for c in self.drawn_after.columns]
        for place, column in enumerate(self.drawn_after.columns):
            if column.only_where is not None and column.only_where not in names[:place]:
                faults.append((column.only_where, f"{column.name}.only_where"))
        known |= set(names)
        for computed in self.computed:
            faults += [(c, f"computed.{computed.name}") for c in computed.terms if c not in known]
            known.add(computed.name)
        faults += [(c, "family_amounts") for c in self.family_amounts if c not in names]
        if self.family not in self.carried:
            faults.append((self.family, "family"))
        if faults:
            named, key = faults[0]
            raise ValueError(f"{key} names {named!r}, which is not among the earlier columns")
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
    def drawn_columns(self) -> list[str]:
        """Amounts that are drawn after the targets, in order."""
        return [c.name for c in self.drawn_after.columns]

    @property
    def computed_before(self) -> list[Computed]:
        """Computed columns that need no column that is drawn after the targets."""
        late, before = {*self.drawn_columns}, []
        for column in self.computed:
            if late.isdisjoint(column.terms):
                before.append(column)
            else:
                late.add(column.name)
        return before

    @property
    def aged_columns(self) -> list[str]:
        """Amounts that grow from the surveyed year to a later one, if they are in the records."""
        late = [c for c in self.computed if c not in self.computed_before]
        computed = [c.name for c in late if c.unit == "dollars"]
        return [*self.target_columns, *self.drawn_columns, *computed]

    @property
    def completion_columns(self) -> list[str]:
        """Columns from which the drawn ones are drawn: the state, the conditions, and those given."""
        return list(dict.fromkeys([*self.condition_columns, self.state, *self.drawn_after.given]))

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
        amounts = [*self.amount_columns, *self.drawn_columns]
        return list(dict.fromkeys([*keys, *own, *self.carried, *amounts]))


def load_schema(path: str | Path) -> SurveySchema:
    """Read a survey's schema.

    Raises
    ------
    SurveyError
        If the file is missing, is not valid YAML, or has keys or values that a schema does not allow.
    """
    return load_declared(path, SurveySchema, "survey schema", SurveyError)
