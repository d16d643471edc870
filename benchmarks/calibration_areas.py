"""Small areas: P-MEDM on the bundled ACS area compared with pymedm, and every county of Texas.

Both P-MEDM solvers get the same problem: published estimates and errors of block groups and tracts; for
the whole area the sums over block groups with a tenth of their errors (as in pymedm); and design weights
spread evenly over the block groups as prior.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from benchmarks import CHECKOUT
from benchmarks.calibration_methods import PRODUCT, installed_version
from benchmarks.calibration_runs import peak_mb, run

ACS = CHECKOUT / "data" / "acs_area"
STATE, YEAR = "TX", 2014
PMEDM, COUNTIES, SIMULATED = "P-MEDM", f"counties of {STATE}", "simulated tracts of CA"
TRACTS = 8_000


def _acs() -> dict[str, pl.DataFrame]:
    names = ["households", "tract_targets", "tract_se", "blockgroup_targets", "blockgroup_se"]
    return {name: pl.read_parquet(ACS / f"{name}.parquet") for name in names}


def penalized_entropy() -> dict[str, Any]:
    """P-MEDM by this project's core function."""
    import scipy.sparse as sp

    from microplex_pipeline.calibration.areas.penalized_entropy import fit_penalized_entropy

    acs = _acs()
    groups, tracts = (acs[f"{level}_targets"].sort("GEOID") for level in ("blockgroup", "tract"))
    estimates = [_numbers(tracts), _numbers(groups)]
    errors = [_numbers(acs[f"{level}_se"].sort("GEOID")) for level in ("tract", "blockgroup")]
    whole = estimates[1].sum(axis=0, keepdims=True)
    whole_error = 0.1 * np.sqrt((errors[1] ** 2).sum(axis=0, keepdims=True))
    tract_of = groups["GEOID"].str.slice(0, 11)
    parent = tract_of.replace_strict(
        tracts["GEOID"], np.arange(tracts.height), return_dtype=pl.Int64
    ).to_numpy()
    features = sp.csr_array(_numbers(acs["households"], ["SERIALNO", "weight"]))
    weights = acs["households"]["weight"].cast(pl.Float64).to_numpy()
    start = time.process_time()
    solution = fit_penalized_entropy(
        features, weights, np.ones(groups.height),
        [np.zeros(tracts.height, np.int64), parent],
        [whole, *estimates], [error**2 for error in (whole_error, *errors)],
    )  # fmt: skip
    cost = time.process_time() - start
    return {
        "gradient": float(solution.gradient_norm), "steps": int(solution.iterations), "cpu_s": cost,
        "within 90 %": _within(features.T @ solution.weights, estimates[1].T, errors[1].T),
    }  # fmt: skip


def pymedm() -> dict[str, Any]:
    """P-MEDM by pymedm: L-BFGS, at most 500 steps."""
    from pymedm import PMEDM as Peer  # noqa: N811

    frames = {
        name: frame.sort(frame.columns[0]).to_pandas().set_index(frame.columns[0])
        for name, frame in _acs().items()
    }
    households = frames["households"]
    features = households.drop(columns="weight")
    columns = features.columns
    groups, errors = frames["blockgroup_targets"][columns], frames["blockgroup_se"][columns]
    start = time.process_time()
    peer = Peer(
        year=2019, serial=households.index.to_numpy(),
        wt=households["weight"].to_numpy(float), cind=features.astype(float),
        cg1=frames["tract_targets"][columns].astype(float), cg2=groups.astype(float),
        sg1=frames["tract_se"][columns].astype(float), sg2=errors.astype(float),
    )  # fmt: skip
    peer.solve()
    cost = time.process_time() - start
    achieved = features.to_numpy(float).T @ np.asarray(peer.almat)
    return {
        "gradient": float(peer.res.state.error), "steps": int(peer.res.state.iter_num),
        "cpu_s": cost,
        "within 90 %": _within(achieved, groups.to_numpy(float).T, errors.to_numpy(float).T),
    }  # fmt: skip


def _numbers(frame: pl.DataFrame, drop: list[str] | None = None) -> np.ndarray:
    return frame.drop(drop or ["GEOID"]).cast(pl.Float64).to_numpy()


def _within(achieved: np.ndarray, estimates: np.ndarray, errors: np.ndarray) -> float:
    """Return the share of estimates met within 1.645 standard errors."""
    return float((np.abs(achieved - estimates) <= 1.645 * errors).mean())


def counties() -> dict[str, Any]:
    """Persons of every county by the GeographicReweighter, from the frame and the targets."""
    from microplex_pipeline.calibration.areas.geographic_reweighter import GeographicReweighter
    from microplex_pipeline.survey import load_schema, prepare_survey, read_survey

    data = CHECKOUT / "data"
    schema = load_schema(data / "surveys" / "cps_tax_units.yaml")
    survey = prepare_survey(read_survey(schema, data, STATE, YEAR), schema, data)
    targets = (
        pl.read_csv(
            data / "targets" / "bundled_county_population_2010_2019.csv",
            schema_overrides={"geoid": pl.String, "value": pl.Float64},
        )
        .filter(geography_level="county", state=STATE, year=YEAR)
        .select(
            "geoid", "value", entity=pl.lit("person"), measure=pl.lit("sum"),
            variable=pl.lit("n_persons"), domain=pl.lit("all"),
        )
    )  # fmt: skip
    reweighter = GeographicReweighter(scale_to_total=True)
    start = time.process_time()
    reweighter.fit(survey, targets, "weight", household_id="household_id")
    cost = time.process_time() - start
    pairs = sum(frame.height for _, frame in reweighter.stream())
    return {
        "areas": targets.height, "records": survey["household_id"].n_unique(), "pairs": pairs,
        "error": float(reweighter.report_["relative_error"].abs().max()), "cpu_s": cost,
    }  # fmt: skip


def tracts() -> dict[str, Any]:
    """A simulated state: California's records and 8,000 tracts with ten soft targets each.

    Tracts differ in size and composition. Their estimates have sampling errors like those of the ACS, so
    that they contradict each other and the state.
    """
    from microplex_pipeline.calibration.areas.geographic_reweighter import GeographicReweighter
    from microplex_pipeline.calibration.areas.targets import AreaTargets
    from microplex_pipeline.calibration.targets.constraints import build_constraints

    records = pl.read_parquet(CHECKOUT / "data" / "cps_tax_units.parquet").filter(
        year=YEAR, state_fips=6
    )
    measures = pl.DataFrame(
        [("sum", "n_persons", "all"), ("sum", "wages", "all"),
         *[("count", "tax_units", f"filing_status:{k}") for k in (1, 2, 4)],
         *[("count", "tax_units", f"age_head:{r}") for r in ("<=34", "35-49", "65+")],
         ("sum", "n_persons", "filing_status:4"), ("sum", "n_persons", "age_head:65+")],
        schema=["measure", "variable", "domain"], orient="row",
    ).with_columns(entity=pl.lit("tax_unit"))  # fmt: skip
    rng = np.random.default_rng(0)
    geoids = [f"06{k:09d}" for k in range(TRACTS)]
    one = measures.with_columns(geoid=pl.lit(geoids[0]), value=pl.lit(1.0))
    features = build_constraints(records, AreaTargets(one).levels(soft=False)[0].targets).matrix
    weights = records["weight"].to_numpy()
    share = rng.lognormal(0, 0.5, TRACTS)
    share /= share.sum()
    tilt = rng.normal(0, 0.25, (TRACTS, measures.height))
    tilt[:, 1] /= 5e4  # dollars
    persons = features[[0]] @ weights
    frames = []
    for k, geoid in enumerate(geoids):
        mix = weights * np.exp(features.T @ tilt[k])
        value = features @ (mix * (persons * share[k] / (features[[0]] @ mix)))
        error = np.sqrt(np.abs(value)) * 2.5 + 6
        error[1] = 0.05 * value[1] + 1e5
        frames.append(
            measures.with_columns(
                geoid=pl.lit(geoid),
                value=np.maximum(0, np.round(value + rng.normal(0, error))),
                standard_error=error,
            )
        )
    targets = pl.concat(frames)
    reweighter = GeographicReweighter(soft=True)
    start = time.process_time()
    reweighter.fit(records, targets, "weight")
    cost = time.process_time() - start
    z = reweighter.report_["z"].abs()
    return {
        "areas": TRACTS, "records": records.height, "cpu_s": cost,
        "ms per area": 1000 * cost / TRACTS, "within 90 %": float((z <= 1.645).mean()),
        "nation's 73,000, h": cost * 73_000 / TRACTS / 3600,
    }  # fmt: skip


CASES: dict[tuple[str, str], tuple[str, Callable[[], dict[str, Any]]]] = {
    (PMEDM, "ours"): (PRODUCT, penalized_entropy),
    (PMEDM, "pymedm"): ("pymedm", pymedm),
    (COUNTIES, "ours"): (PRODUCT, counties),
    (SIMULATED, "ours"): (PRODUCT, tracts),
}


def measured_areas(limit: int) -> list[dict[str, Any]]:
    """Run all cases, each in a fresh process; one row each."""
    rows = []
    for (problem, method), (package, _) in CASES.items():
        row = {"problem": problem, "method": method, "version": installed_version(package)}
        row |= (
            run(__name__, [problem, method], limit)
            if row["version"]
            else {"outcome": "not installed"}
        )
        print(row, flush=True)
        rows.append(row)
    return rows


def main() -> None:
    """Run one case and print its row as JSON."""
    problem, method = sys.argv[1:]
    measures = CASES[problem, method][1]()
    print(json.dumps({"outcome": "weights", **measures, "peak_mb": peak_mb()}))
