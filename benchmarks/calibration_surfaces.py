"""Calibration problems of a nation's whole surface: all levels of geography at once, simulated.

`counties` is the public problem of PolicyEngine's microcosm: households with an income and a county; targets
are households and income of the nation and of each county. `surface` has the shape of its production problem:
337,704 households and some 32,000 targets of the nation, 51 states and 436 congressional districts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
import scipy.sparse as sp

from microplex_pipeline.calibration import Constraints, Targets

RAISED = 1.05  # targets over design-weighted totals, in `counties`
STATES, DISTRICTS = 51, 436
AGES, CLASSES, SIZES, FILING = 18, 10, 7, 5
AMOUNTS, OF_DISTRICTS, OF_STATES = 24, 16, 10
MOVED = 0.25  # standard deviation of the logarithms of the ratios that the targets of `surface` stem from


@dataclass
class _Rows:
    """Targets, and the matrix of what each record contributes to them."""

    records: int
    table: list[dict[str, str]] = field(default_factory=list)
    entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(
        self, domains: list[str], code: np.ndarray, amount: tuple[str, np.ndarray] | None
    ) -> None:
        """Add a count, or the sum of an amount, in each domain; `code` is that of each record, (n,)."""
        rows = np.arange(self.records) if amount is None else np.flatnonzero(amount[1])
        values = np.ones(self.records) if amount is None else amount[1][rows]
        self.entries.append((len(self.table) + code[rows], rows, values))
        measure, variable = ("count", "households") if amount is None else ("sum", amount[0])
        key = {"entity": "record", "measure": measure, "variable": variable}
        self.table += [{**key, "domain": domain} for domain in domains]

    def matrix(self) -> sp.csr_array:
        index, columns, values = (np.concatenate(part) for part in zip(*self.entries, strict=True))
        return sp.csr_array((values, (index, columns)), shape=(len(self.table), self.records))


def counties(
    households: int, targets: int, seed: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame, Constraints]:
    """Return records, targets with values, and their constraints, of microcosm's public problem.

    Every target is 5 % above the design-weighted total; a county's is its equal share of the nation's.
    """
    rng = np.random.default_rng(seed)
    places = targets // 2 - 1
    income = rng.lognormal(10.7, 0.8, households)
    county = rng.integers(0, places, households)
    rows = _Rows(households)
    for domains, code in ((["all"], np.zeros(households, int)),
                          ([f"county:{k}" for k in range(places)], county)):  # fmt: skip
        rows.add(domains, code, None)
        rows.add(domains, code, ("income", income))
    weight = np.full(households, 150.0)
    totals = RAISED * np.array([weight.sum(), weight @ income])
    share = np.repeat(totals / places, places).reshape(2, places)
    values = np.concatenate([totals[:1], totals[1:], share[0], share[1]])
    records = pl.DataFrame({"county": county, "income": income, "weight": weight})
    return records, *_with_values(rows, values)


def surface(seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame, Constraints]:
    """Return records, targets with values, and their constraints, of nation, states and districts."""
    rng = np.random.default_rng(seed)
    n = 337_704
    state_of = np.sort(np.append(np.arange(STATES), rng.integers(0, STATES, DISTRICTS - STATES)))
    district = rng.choice(DISTRICTS, n, p=rng.dirichlet(np.full(DISTRICTS, 20.0)))
    codes = {
        "district": district,
        "state": state_of[district],
        "age": rng.integers(0, AGES, n),
        "class": rng.integers(0, CLASSES, n),
        "size": rng.integers(0, SIZES, n),
        "filing": rng.integers(0, FILING, n),
    }
    amounts = {}
    for k in range(AMOUNTS):
        received = rng.random(n) < rng.uniform(0.03, 0.8)
        amounts[f"amount_{k}"] = received * np.exp(rng.normal(6 + 0.3 * codes["class"], 1.0))
    rows = _Rows(n)

    def add(names: list[str], sizes: list[int], summed: int | None = None) -> None:
        """Add the counts in all cells of some columns, or the sums of the first amounts."""
        code = np.ravel_multi_index([codes[name] for name in names], sizes)
        cells = np.unravel_index(np.arange(int(np.prod(sizes))), sizes)
        domains = [
            "|".join(f"{name}:{k}" for name, k in zip(names, cell, strict=True))
            for cell in zip(*cells, strict=True)
        ]
        for amount in [None] if summed is None else list(amounts.items())[:summed]:
            rows.add(domains, code, amount)

    for name, size in (("age", AGES), ("class", CLASSES), ("size", SIZES), ("filing", FILING)):
        add(["district", name], [DISTRICTS, size])
    add(["district"], [DISTRICTS], OF_DISTRICTS)
    add(["state", "class"], [STATES, CLASSES])
    add(["state", "class"], [STATES, CLASSES], OF_STATES)
    add(["class", "size"], [CLASSES, SIZES], AMOUNTS)
    add(["age", "class"], [AGES, CLASSES])
    add(["filing", "class"], [FILING, CLASSES])
    weight = rng.uniform(100, 700, n)
    values = rows.matrix() @ (weight * np.exp(rng.normal(0, MOVED, n)))
    return pl.DataFrame({**codes, **amounts, "weight": weight}), *_with_values(rows, values)


def _with_values(rows: _Rows, values: np.ndarray) -> tuple[pl.DataFrame, Constraints]:
    """Return the targets that have a record, with their values, and their constraints."""
    matrix = rows.matrix()
    kept = np.flatnonzero(np.diff(matrix.indptr))
    table = pl.DataFrame(rows.table).with_columns(value=pl.Series(values))[kept]
    return table, Constraints(sp.csr_array(matrix[kept]), values[kept], Targets(table).names)
