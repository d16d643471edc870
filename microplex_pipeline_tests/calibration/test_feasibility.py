"""Exact, within and penalized: 2,000 random problems, each checked by a linear programme of HiGHS."""

import numpy as np
import polars as pl
import pytest
from scipy.optimize import linprog

from microplex_pipeline import InfeasibleTargets, Reweighter, Targets

METHODS = [
    {"distance": "chi2"},
    {"distance": "chi2", "bounds": None},
    {"distance": "raking"},
    {"distance": "logit", "bounds": None},
    {"sparsity": "l2"},
    {"sparsity": "l0"},
]
CHUNK = 250
FEASIBLE, INFEASIBLE = 1e-9, 1e-6  # smallest possible largest miss, as a share of the targets


def random_problem(seed):
    """Records, targets of all kinds, and options; about one in ten has no solution."""
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(3, 60)), int(rng.integers(1, 9))
    rows = rng.integers(0, 3, (m, n)).astype(float)
    if rng.random() < 0.5:
        rows[rng.random(m) < 0.4] = rng.lognormal(6, 1.5, n)
    if rng.random() < 0.3:
        rows[rng.random((m, n)) < 0.5] *= -1
    rows = rows[(rows != 0).any(axis=1)]
    m, design = len(rows), rng.uniform(0.5, 20, n)
    options = dict(METHODS[rng.integers(len(METHODS))])
    weights = design * np.exp(rng.normal(0, rng.choice([0.02, 0.1, 0.4, 1.5]), n))
    if "bounds" in options:
        low, high = (
            float(rng.choice([0, 0.1, 0.5, 0.8, 0.9])),
            float(rng.choice([1.1, 1.25, 2, 10])),
        )
        options["bounds"] = (low, high)
        weights = np.clip(weights, low * design, high * design)
    elif rng.random() < 0.3:
        weights[rng.random(n) < 0.4] = 0
    values = rows @ weights
    if rng.random() < 0.5:
        values = values * np.exp(rng.normal(0, rng.choice([0.001, 0.02, 0.2]), m))
    kind = rng.integers(0, 2 if options.get("sparsity") == "l0" else 3, m)
    share = rng.choice([1e-4, 1e-3, 0.01, 0.1], m)
    size = np.where(values == 0, 1.0, np.abs(values))
    side = rng.random(m)
    edge = kind == 1
    targets = pl.DataFrame(
        {
            "entity": "record", "measure": "sum", "variable": [f"x{i}" for i in range(m)], "domain": "all",
            "value": values,
            "standard_error": np.where(kind == 2, share * size, np.nan),
            "at_least": np.where(edge & (side > 0.15), values - share * size, np.nan),
            "at_most": np.where(edge & (side < 0.85), values + share * size, np.nan),
        }
    ).with_columns(pl.col("standard_error", "at_least", "at_most").fill_nan(None))  # fmt: skip
    data = pl.DataFrame({f"x{i}": row for i, row in enumerate(rows)} | {"weight": design})
    return data, targets, options | {"soft": bool((kind > 0).any())}


def least_miss(data, targets, bounds):
    """Return the smallest possible largest miss of exact targets and limits, as a share of the values."""
    design = data["weight"].to_numpy()
    rows, right = [], []
    for target in targets.filter(pl.col("standard_error").is_null()).to_dicts():
        row, value = data[target["variable"]].to_numpy() * design, target["value"]
        size = abs(value) or 1.0
        exact = target["at_least"] is None and target["at_most"] is None
        for sign, limit in ((1, target["at_most"]), (-1, target["at_least"])):
            if exact or limit is not None:
                rows.append(np.append(sign * row / size, -1.0))
                right.append(sign * (value if exact else limit) / size)
    if not rows:
        return 0.0
    low, high = bounds or (0, None)
    cost = np.append(np.zeros(data.height), 1.0)
    limits = [(low, high)] * data.height + [(0, None)]
    found = linprog(cost, A_ub=np.array(rows), b_ub=right, bounds=limits, method="highs")
    assert found.status == 0
    return found.fun


@pytest.mark.parametrize("chunk", range(2000 // CHUNK))
@pytest.mark.filterwarnings(
    "ignore:targets missed by more than 2", "ignore:the targets take the sum"
)
def test_what_has_a_solution_is_solved_and_what_is_refused_has_none(chunk):
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        data, targets, options = random_problem(seed)
        bounds = options.get("bounds")
        miss = least_miss(data, targets, bounds)
        fitted, refused = None, []
        try:
            fitted = Reweighter(**options).fit(data, Targets(targets))
        except InfeasibleTargets as error:
            refused = error.targets
        if fitted is None:
            assert miss > FEASIBLE, seed
            named = targets.filter(Targets(targets).table["target"].is_in(refused))
            assert named.height == len(refused) > 0, seed
            assert least_miss(data, named, bounds) > FEASIBLE, seed
            for k in range(named.height):
                rest = named.filter(pl.int_range(pl.len()) != k)
                assert least_miss(data, rest, bounds) < INFEASIBLE, seed
            continue
        assert miss < INFEASIBLE, seed
        weights, report = fitted.weights_, fitted.report_
        sizes = report["value"].abs().replace(0.0, 1.0)
        missed = (report["error"].abs() / sizes).filter(report["kind"] == "exact")
        assert (missed < 1e-4).all(), seed
        above_least = (report["achieved"] - targets["at_least"]) / sizes
        below_most = (targets["at_most"] - report["achieved"]) / sizes
        assert (above_least.drop_nulls() > -1e-9).all(), seed
        assert (below_most.drop_nulls() > -1e-9).all(), seed
        ratio = weights / data["weight"].to_numpy()
        low, high = bounds or (0, np.inf)
        assert ratio.min() >= low - 1e-9, seed
        assert ratio.max() <= high + 1e-9, seed
