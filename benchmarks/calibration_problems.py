"""Calibration problems from the bundled survey: feasible, margins only, and contradictory.

Every target of the feasible problems is moved up or down by 5-15 %, by a factor of its own. Counts stay
consistent: they are the counts under perturbed weights, in which a record's weight is multiplied by the
factors of all counts that it is in. Dollar totals are those of the survey times their factors. Whether
non-negative weights meet all of them is only known once they are solved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np
import polars as pl
import scipy.sparse as sp

from benchmarks import CHECKOUT
from benchmarks.calibration_surfaces import counties, surface
from microplex_pipeline.calibration import Constraints, Targets
from microplex_pipeline.calibration.targets.domains import domain_expression

YEAR = 2014
CA, NATION, YEARS = "California", "nation by state", "all years by state"
CA_MARGINS, NATION_MARGINS, YEARS_MARGINS = (f"{p}, margins" for p in (CA, NATION, YEARS))
CA_CONFLICT, NATION_CONFLICT = f"{CA}, contradictory", f"{NATION}, contradictory"
LEVELS_CONFLICT = f"{NATION}, contradictory between levels"
COUNTIES = {
    "counties, 75,000 households": (75_000, 3_704),
    "counties, 300,000 households": (300_000, 6_288),
    "counties, 1,000,000 households": (1_000_000, 6_288),
}
SURFACE = "nation, states and districts"

AGES = ["age_head:<=24", "age_head:25-34", "age_head:35-44", "age_head:45-54", "age_head:55-64",
        "age_head:65+"]  # fmt: skip
BROAD_AGES = [
    "age_head:<=29",
    "age_head:30-44",
    "age_head:45-59",
    "age_head:60-74",
    "age_head:75+",
]
FILING = ["filing_status:1", "filing_status:2", "filing_status:3-4"]
ALL_FILING = [f"filing_status:{k}" for k in range(1, 5)]
PERSONS = [f"n_persons:{k}" for k in range(1, 6)] + ["n_persons:6+"]
FEW_PERSONS = ["n_persons:1", "n_persons:2", "n_persons:3", "n_persons:4+"]
CHILDREN = [f"n_persons_under_18:{k}" for k in range(3)] + ["n_persons_under_18:3+"]
FEW_CHILDREN = [*CHILDREN[:2], "n_persons_under_18:2+"]
SURVEY_YEARS = ["year:2012", "year:2013", "year:2014"]
AMOUNTS = ["wages", "social_security", "ssi", "snap", "pensions_total", "taxable_interest",
           "business_income"]  # fmt: skip
MORE_AMOUNTS = ["ordinary_dividends", "capital_gain_distributions", "ira_distributions",
                "unemployment_compensation", "farm_income", "medicaid_value"]  # fmt: skip
NATIONAL_AMOUNTS = ["ordinary_dividends", "capital_gain_distributions", "ira_distributions",
                    "unemployment_compensation", "farm_income", "tax_exempt_interest",
                    "pensions_taxable", "medicaid_value", "medicare_value",
                    "veterans_benefits"]  # fmt: skip
RECEIVED = ["wages", "social_security", "ssi", "snap", "unemployment_compensation",
            "taxable_interest"]  # fmt: skip
MORE_RECEIVED = ["pensions_total", "business_income", "ordinary_dividends", "medicaid_value"]


def crossed(first: list[str], second: list[str]) -> list[str]:
    """Return the domains of all pairs."""
    return [f"{a}|{b}" for a in first for b in second]


@dataclass(frozen=True)
class Layout:
    """Targets of one geographic level.

    Attributes
    ----------
    margins : {name: domains that together contain every record exactly once}.
    amounts : columns that are summed in each of `amount_domains`.
    received : columns whose positive records are counted.
    """

    margins: dict[str, list[str]]
    amounts: list[str]
    received: tuple[str, ...] = ()
    amount_domains: tuple[str, ...] = ("all",)


CA_LAYOUT = Layout(
    {"age and filing": crossed(BROAD_AGES, FILING), "persons": PERSONS},
    [*AMOUNTS, *MORE_AMOUNTS],
    tuple(RECEIVED),
)
STATE_LAYOUT = Layout({"age": AGES, "filing": FILING, "persons": FEW_PERSONS}, AMOUNTS)
NATIONAL_LAYOUT = Layout({"children": CHILDREN}, NATIONAL_AMOUNTS)
STATE_YEARS_LAYOUT = Layout(
    {"year and age": crossed(SURVEY_YEARS, AGES), "filing": ALL_FILING, "persons": PERSONS},
    AMOUNTS,
    (*RECEIVED, *MORE_RECEIVED),
    tuple(SURVEY_YEARS),
)


@dataclass(frozen=True)
class Problem:
    """One calibration problem.

    Attributes
    ----------
    name : as on the command line.
    constraints : A w = b, with names, for m targets and n records.
    design : (n,) design weights.
    table : (m rows) the same targets in the form of `Targets`.
    records : n rows, the survey.
    cells : (k, n) for each margin, the row of A in which a record counts; problems of margins consist of
        these rows only.
    """

    name: str
    constraints: Constraints
    design: np.ndarray
    table: pl.DataFrame
    records: pl.DataFrame
    cells: np.ndarray

    @property
    def targets(self) -> Targets:
        """The long table, checked."""
        return Targets(self.table)

    def value(self, target: str) -> float:
        """Return the value of a target by its name."""
        return float(self.constraints.values[self.constraints.names.index(target)])

    def with_value(self, name: str, target: str, value: float) -> Problem:
        """Return the problem under a new name, with another value of one target."""
        values = self.constraints.values.copy()
        values[self.constraints.names.index(target)] = value
        constraints = replace(self.constraints, values=values)
        table = self.table.with_columns(pl.Series("value", values))
        return replace(self, name=name, constraints=constraints, table=table)

    def margins_only(self) -> Problem:
        """Return the problem of the margins alone."""
        rows = np.unique(self.cells)
        old = self.constraints
        constraints = Constraints(
            sp.csr_array(old.matrix[rows]), old.values[rows], [old.names[i] for i in rows]
        )
        cells = np.searchsorted(rows, self.cells)
        return replace(
            self, name=f"{self.name}, margins", constraints=constraints, table=self.table[rows],
            cells=cells,
        )  # fmt: skip


class _Rows:
    """Coefficients of targets, collected in blocks of rows."""

    def __init__(self, records: pl.DataFrame) -> None:
        self.records = records
        self.entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.table: list[dict[str, str]] = []
        self.cells: list[np.ndarray] = []

    def add(self, layout: Layout, places: list[str], place: np.ndarray) -> None:
        """Add a layout's rows for each place; `place` (n,) is the position of each record's place."""
        everyone = np.arange(self.records.height)
        for domains in layout.margins.values():
            code = self._codes(domains)
            self.cells.append(len(self.table) + place * len(domains) + code)
            self.entries.append((self.cells[-1], everyone, np.ones(len(everyone))))
            self._describe("count", "tax_unit", places, domains)
        for column in layout.amounts:
            code = self._codes(list(layout.amount_domains))
            values = self.records[column].cast(pl.Float64).to_numpy()
            at = len(self.table) + place * len(layout.amount_domains) + code
            self.entries.append((at, everyone, values))
            self._describe("sum", column, places, list(layout.amount_domains))
        for column in layout.received:
            has = (self.records[column] > 0).cast(pl.Float64).to_numpy()
            self.entries.append((len(self.table) + place, everyone, has))
            self._describe("count", "tax_unit", places, [f"{column}:1+"])

    def _codes(self, domains: list[str]) -> np.ndarray:
        """Return the position of the domain that contains each record, (n,)."""
        if domains == ["all"]:
            return np.zeros(self.records.height, np.int64)
        inside = self.records.select(
            domain_expression(domain, self.records.schema).alias(domain) for domain in domains
        ).to_numpy()
        if not (inside.sum(axis=1) == 1).all():
            raise ValueError(f"these domains do not contain every record exactly once: {domains}")
        return inside.argmax(axis=1)

    def _describe(
        self, measure: str, variable: str, places: list[str], domains: list[str]
    ) -> None:
        for place, domain in product(places, domains):
            parts = [part for part in (place, domain) if part != "all"]
            self.table.append(
                {
                    "entity": "tax_unit", "measure": measure, "variable": variable,
                    "domain": "|".join(parts) or "all",
                }
            )  # fmt: skip


def _problem(name: str, records: pl.DataFrame, rows: _Rows, seed: int) -> Problem:
    """Return the problem without targets that have no record, and with the others moved."""
    design = records["weight"].cast(pl.Float64).to_numpy()
    index, columns, values = (np.concatenate(part) for part in zip(*rows.entries, strict=True))
    matrix = sp.csr_array((values, (index, columns)), shape=(len(rows.table), len(design)))
    matrix.eliminate_zeros()
    kept = np.flatnonzero(np.diff(matrix.indptr) > 0)
    matrix = sp.csr_array(matrix[kept])
    table = pl.DataFrame(rows.table)[kept]
    counts = (table["measure"] == "count").to_numpy()
    rng = np.random.default_rng(seed)
    factor = 1 + rng.choice([-1, 1], len(kept)) * rng.uniform(0.05, 0.15, len(kept))
    touched = sp.csr_array(matrix[counts])
    touched.data = np.ones(touched.nnz)
    wanted = design * np.exp(touched.T @ np.log(factor[counts]))
    wanted *= design.sum() / wanted.sum()
    value = np.where(counts, matrix @ wanted, factor * (matrix @ design))
    table = table.with_columns(pl.Series("value", value))
    cells = np.searchsorted(kept, np.array(rows.cells))
    names = Targets(table).names
    return Problem(
        name, Constraints(matrix, table["value"].to_numpy(), names), design, table, records, cells
    )


def _survey(years: list[int]) -> pl.DataFrame:
    return pl.read_parquet(CHECKOUT / "data" / "cps_tax_units.parquet").filter(
        pl.col("year").is_in(years)
    )


def _by_state(
    name: str, records: pl.DataFrame, state: Layout, nation: Layout, seed: int
) -> Problem:
    states = records["state"].unique().sort().to_list()
    order = {s: i for i, s in enumerate(states)}
    place = records["state"].replace_strict(order, return_dtype=pl.Int64).to_numpy()
    rows = _Rows(records)
    rows.add(state, [f"state:{s}" for s in states], place)
    rows.add(nation, ["all"], np.zeros(records.height, np.int64))
    return _problem(name, records, rows, seed)


def california(seed: int = 0) -> Problem:
    """California 2014: age by filing status, persons, dollars, recipients."""
    records = _survey([YEAR]).filter(pl.col("state") == "CA")
    rows = _Rows(records)
    rows.add(CA_LAYOUT, ["all"], np.zeros(records.height, np.int64))
    return _problem(CA, records, rows, seed)


def nation(seed: int = 0) -> Problem:
    """The nation 2014: 20 targets in each state and 14 of the nation."""
    return _by_state(NATION, _survey([YEAR]), STATE_LAYOUT, NATIONAL_LAYOUT, seed)


def all_years(seed: int = 0) -> Problem:
    """All three years: in each state ages and dollars by year, filing, persons and recipients."""
    layout = Layout({"children": FEW_CHILDREN}, [])
    return _by_state(YEARS, _survey([2012, 2013, 2014]), STATE_YEARS_LAYOUT, layout, seed)


def california_conflict() -> Problem:
    """More SSI than its recipients can have received."""
    problem = california()
    most = float(problem.records["ssi"].max())
    value = 1.2 * most * problem.value("tax_unit count tax_unit [ssi:1+]")
    return problem.with_value(CA_CONFLICT, "tax_unit sum ssi [all]", value)


def nation_conflict() -> Problem:
    """More Texans living alone than Texans of all filing statuses or ages."""
    problem = nation()
    filing = sum(
        problem.value(f"tax_unit count tax_unit [state:TX|{domain}]") for domain in FILING
    )
    alone = "tax_unit count tax_unit [state:TX|n_persons:1]"
    return problem.with_value(NATION_CONFLICT, alone, 1.2 * filing)


def levels_conflict() -> Problem:
    """More taxable pensions in the nation than pensions of any kind in its states."""
    problem = nation()
    names = [n for n in problem.constraints.names if "sum pensions_total [state:" in n]
    value = 1.05 * sum(problem.value(name) for name in names)
    return problem.with_value(LEVELS_CONFLICT, "tax_unit sum pensions_taxable [all]", value)


def simulated(name: str) -> Problem:
    """One of the problems of `calibration_surfaces`; it has no margins."""
    size = COUNTIES.get(name)
    records, table, constraints = counties(*size) if size else surface()
    design = records["weight"].to_numpy()
    return Problem(name, constraints, design, table, records, np.zeros((0, len(design)), int))


PROBLEMS: dict[str, Callable[[], Problem]] = {
    CA: california,
    NATION: nation,
    YEARS: all_years,
    CA_MARGINS: lambda: california().margins_only(),
    NATION_MARGINS: lambda: nation().margins_only(),
    YEARS_MARGINS: lambda: all_years().margins_only(),
    CA_CONFLICT: california_conflict,
    NATION_CONFLICT: nation_conflict,
    LEVELS_CONFLICT: levels_conflict,
    **{name: partial(simulated, name) for name in (*COUNTIES, SURFACE)},
}
