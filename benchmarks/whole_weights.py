"""Whole weights of many zones: how near to the controls of zones, tracts and region, and at what cost.

    python -m benchmarks.whole_weights                        ours: 930 zones in 35 tracts
    python -m benchmarks.whole_weights --zones 100 --tracts 4
    python -m benchmarks.whole_weights --peer PYTHON          and PopulationSim, of that interpreter

The households of the bundled survey of California are drawn into zones, whose mixes differ. Controls are
counted from these: households by size, income, workers and age of head, SNAP and children in zones; persons
by age in tracts; households and persons of the region. The seed is a sample of three fifths of the survey's
households. "Error" is the sum of misses over the sum of controls; "random" rounds the same fractional weights
by a systematic sample.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import CHECKOUT
from benchmarks.whole_weights_peer import population_sim
from microplex_pipeline import GeographicReweighter

YEAR, STATE = 2014, 6
SIZES, WORKERS = 7, 3
INCOMES = [10_000, 25_000, 40_000, 60_000, 90_000, 150_000]
AGES = [35, 55, 65]
ZONE_SIZE, SPREAD = (
    220,
    0.5,
)  # median households of a zone, and the standard deviation of their logarithm
TRACT_TILT, ZONE_TILT = (
    0.12,
    0.08,
)  # of the logarithm of a household's chance, per standard deviation
SEED_SHARE = 0.6
PRECISION = 0.5  # standard error of a control, in its units
OF_PERSONS = ["under_6", "under_18", "adults", "from_18_to_20", "from_65"]


@dataclass(frozen=True)
class ZoneProblem:
    """A seed and controls.

    Attributes
    ----------
    seed : a row per household: household_id, weight, and what the controls count.
    controls : geoid, variable and value; zones have six digits, tracts three, the region one.
    """

    seed: pl.DataFrame
    controls: pl.DataFrame


def households() -> pl.DataFrame:
    """Return the households of the survey, with what the controls count."""
    income = pl.sum_horizontal(
        "wages", "business_income", "farm_income", "taxable_interest", "pensions_total",
        "social_security", "ssi",
    )  # fmt: skip
    of_65 = (pl.col("age_head") >= 65).cast(int) + (pl.col("age_spouse") >= 65).fill_null(False)
    units = pl.read_parquet(CHECKOUT / "data" / "cps_tax_units.parquet")
    found = (
        units.filter(year=YEAR, state_fips=STATE)
        .group_by("household_id", maintain_order=True)
        .agg(
            pl.col("weight").first().cast(pl.Float64),
            pl.col("n_persons").sum().cast(pl.Int64).alias("persons"),
            pl.col("n_persons_under_18").sum().cast(pl.Int64).alias("under_18"),
            pl.col("n_dependents_under_6").sum().cast(pl.Int64).alias("under_6"),
            pl.col("n_persons_18_20").sum().cast(pl.Int64).alias("from_18_to_20"),
            (of_65 + pl.col("n_dependents_65_plus")).sum().cast(pl.Int64).alias("from_65"),
            income.sum().alias("income"),
            (pl.col("wages") > 0).sum().alias("workers"),
            pl.col("age_head").first(),
            (pl.col("snap").sum() > 0).cast(pl.Int64).alias("snap"),
        )
        .with_columns(
            adults=pl.col("persons") - pl.col("under_18"),
            size=pl.col("persons").clip(1, SIZES),
            workers=pl.col("workers").clip(0, WORKERS).cast(pl.Int64),
            income_class=_class("income", INCOMES),
            age_class=_class("age_head", AGES),
            with_children=(pl.col("under_18") > 0).cast(pl.Int64),
            households=pl.lit(1),
        )
    )
    classes = {
        "size": SIZES,
        "workers": WORKERS,
        "income_class": len(INCOMES),
        "age_class": len(AGES),
    }
    return found.with_columns(
        (pl.col(name) == k).cast(pl.Int64).alias(f"{name}_{k}")
        for name, last in classes.items()
        for k in range(1 if name == "size" else 0, last + 1)
    )


def _class(name: str, edges: list[int]) -> pl.Expr:
    return pl.sum_horizontal((pl.col(name) >= edge).cast(pl.Int64) for edge in edges)


def zone_problem(zones: int, tracts: int, seed: int) -> ZoneProblem:
    """Return a seed and controls of zones, in tracts, in a region."""
    rng = np.random.default_rng(seed)
    survey = households()
    classes = [c for c in survey.columns if c[-1].isdigit() and c[-2] == "_" and c != "under_6"]
    of_zone = ["households", *classes, "snap", "with_children"]
    names = [*of_zone, *OF_PERSONS, "persons"]
    values = survey.select(names).to_numpy().astype(float)
    spread = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9)
    tract_of = np.sort(np.append(np.arange(tracts), rng.integers(0, tracts, zones - tracts)))
    of_tract = TRACT_TILT * rng.normal(size=(tracts, len(names)))
    chance = survey["weight"].to_numpy()
    number = np.maximum(20, rng.lognormal(np.log(ZONE_SIZE), SPREAD, zones).astype(int))
    counts = np.empty((zones, len(names)))
    for z, n in enumerate(number):
        tilt = of_tract[tract_of[z]] + ZONE_TILT * rng.normal(size=len(names))
        p = chance * np.exp(spread @ tilt)
        counts[z] = values[rng.choice(len(values), n, p=p / p.sum())].sum(axis=0)
    tables = [
        _long([f"1{t:02d}{z:03d}" for z, t in enumerate(tract_of)], of_zone, counts, names),
        _long(
            [f"1{t:02d}" for t in range(tracts)], ["households", *OF_PERSONS],
            np.array([counts[tract_of == t].sum(axis=0) for t in range(tracts)]), names,
        ),
        _long(["1"], ["households", "persons"], counts.sum(axis=0)[None], names),
    ]  # fmt: skip
    chosen = survey.filter(pl.Series(rng.random(survey.height) < SEED_SHARE))
    scale = number.sum() / chosen["weight"].sum()
    return ZoneProblem(chosen.with_columns(pl.col("weight") * scale), pl.concat(tables))


def _long(
    areas: list[str], wanted: list[str], counts: np.ndarray, names: list[str]
) -> pl.DataFrame:
    columns = [names.index(name) for name in wanted]
    return pl.DataFrame(
        {
            "geoid": np.repeat(areas, len(wanted)),
            "variable": wanted * len(areas),
            "value": counts[:, columns].ravel(),
        }
    )


def ours(problem: ZoneProblem, integer: bool) -> pl.DataFrame:
    """Return geoid, household_id and weight by P-MEDM, whole or not."""
    targets = problem.controls.with_columns(
        entity=pl.lit("record"), measure=pl.lit("sum"), domain=pl.lit("all"),
        standard_error=pl.lit(PRECISION),
    )  # fmt: skip
    fitted = GeographicReweighter("pmedm", integer=integer).fit(
        problem.seed, targets, "weight", household_id="household_id"
    )
    return fitted.area_weights_


def rounded_at_random(weights: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return weights rounded by a systematic sample in each zone."""
    start = np.random.default_rng(seed).random()
    through = pl.col("weight").cum_sum().over("geoid") + start
    return weights.with_columns(
        (through.floor() - (through - pl.col("weight")).floor()).alias("weight")
    ).filter(pl.col("weight") > 0)


def figures(problem: ZoneProblem, weights: pl.DataFrame) -> dict[str, str]:
    """Return, by level, error and share of controls within one, from the weights of zones."""
    variables = problem.controls["variable"].unique().to_list()
    joined = weights.join(problem.seed.drop("weight"), on="household_id")
    found = {}
    for name, digits in (("zones", 6), ("tracts", 3), ("region", 1)):
        achieved = (
            joined.group_by(pl.col("geoid").str.slice(0, digits))
            .agg((pl.col(v) * pl.col("weight")).sum().cast(pl.Float64) for v in variables)
            .unpivot(index="geoid", variable_name="variable", value_name="achieved")
        )
        table = problem.controls.filter(pl.col("geoid").str.len_chars() == digits).join(
            achieved, on=["geoid", "variable"], how="left"
        )
        miss = (table["achieved"].fill_null(0.0) - table["value"]).abs()
        found[name] = (
            f"{100 * miss.sum() / table['value'].sum():.3f} % "
            f"({100 * float((miss <= 1 + 1e-6).mean()):.1f} %)"
        )
    return found


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--zones", type=int, default=930)
    parser.add_argument("--tracts", type=int, default=35)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peer", type=Path, help="interpreter that has PopulationSim")
    options = parser.parse_args()
    problem = zone_problem(options.zones, options.tracts, options.seed)
    print(
        f"{options.zones} zones in {options.tracts} tracts, {problem.seed.height:,} households of the seed, "
        f"{problem.controls.height:,} controls. Error (controls within one):\n"
    )
    print("| method | zones | tracts | region | CPU s |\n| --- | --- | --- | --- | --- |")
    began = time.process_time()
    fractional = ours(problem, integer=False)
    spent = time.process_time() - began
    _print_row("fractional", problem, fractional, spent)
    _print_row("random", problem, rounded_at_random(fractional, options.seed), spent)
    began = time.process_time()
    whole = ours(problem, integer=True)
    _print_row("whole weights", problem, whole, time.process_time() - began)
    if options.peer is not None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = population_sim(problem.seed, problem.controls, options.peer)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        _print_row("PopulationSim", problem, found, spent)


def _print_row(method: str, problem: ZoneProblem, weights: pl.DataFrame, spent: float) -> None:
    by_level = figures(problem, weights)
    print(f"| {method} | {' | '.join(by_level.values())} | {spent:.1f} |", flush=True)


if __name__ == "__main__":
    main()
