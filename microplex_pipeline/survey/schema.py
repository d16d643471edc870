"""The declarative schema of a survey, read from a YAML file; unknown keys are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from microplex_pipeline.data_files import FileName, Strict, load_declared
from microplex_pipeline.survey.declarations import (
    Ageing,
    Computed,
    Condition,
    DrawnAfter,
    Identity,
    Limit,
    PartIdentity,
    PersonAges,
    StateScaling,
    Target,
    TotalIdentity,
    UnitSummary,
    ZeroUnlessIdentity,
)
from microplex_pipeline.survey.errors import SurveyError

DERIVED_CONDITIONS = ("unit_number", "household_units", "household_persons")


class SurveySchema(Strict):
    """The description of a survey: its file, keys, conditions, targets and identities.

    Attributes
    ----------
    ranges : smallest and largest value of columns; a survey with a value outside is refused.
    earlier_units : what a unit's amounts are drawn from, beside the conditions: summaries of the units of its
        household before it.
    all_units : what a household's amounts are drawn from, beside the columns of `drawn_after.given`.
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
    earlier_units: list[UnitSummary] = Field(default_factory=list)
    all_units: list[UnitSummary] = Field(default_factory=list)
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
        drawn = {*self.amount_columns} - {*self.household_amounts}
        for key, summaries in (
            ("earlier_units", self.earlier_units),
            ("all_units", self.all_units),
        ):
            for summary in summaries:
                of_units = drawn | {*self.condition_columns, *self.carried}
                faults += [(c, f"{key}.{summary.name}") for c in summary.of if c not in of_units]
                if summary.name in known:
                    raise ValueError(f"{key}.{summary.name} has the name of another column")
                known.add(summary.name)
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
        """Columns that are drawn unit by unit: the targets, with parts replaced by their shares.

        Amounts of the whole household are drawn after them.
        """
        shares = {i.part: i.share for i in self.parts}
        own = [name for name in self.target_columns if name not in self.household_amounts]
        return [shares.get(name, name) for name in own]

    @property
    def unit_conditions(self) -> list[str]:
        """Columns from which a unit's amounts are drawn: the conditions, and what earlier units have."""
        return [*self.condition_columns, *(s.name for s in self.earlier_units)]

    @property
    def only_where(self) -> dict[str, str | tuple[str, str | int]]:
        """Structural zeros of the modelled columns, in the form that the synthesizer expects.

        A part's share can be non-zero only if the whole is; a zero-unless column only in its category.
        """
        rules: dict[str, str | tuple[str, str | int]] = {i.share: i.whole for i in self.parts}
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
        """What the columns after the units' amounts are drawn from.

        The conditions, the state, what is given, and summaries of the household's units.
        """
        given = [c for c in self.drawn_after.given if c not in self.household_amounts]
        own = [*self.condition_columns, self.state, *given]
        return list(dict.fromkeys([*own, *(s.name for s in self.all_units)]))

    @property
    def completing_columns(self) -> list[str]:
        """Columns that are drawn after the units' amounts: those of the household first."""
        return [*self.household_amounts, *self.drawn_columns]

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
