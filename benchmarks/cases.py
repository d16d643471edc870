"""The open cases: real tax units of 2014, cut 75/25 at random into training and held-out records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from microplex_pipeline.settings import PROJECT

TARGETS = [
    "wages", "business_income", "farm_income", "taxable_interest", "ordinary_dividends",
    "capital_gain_distributions", "ira_distributions", "pensions_total",
    "unemployment_compensation", "social_security", "snap", "ssi",
]  # fmt: skip
CONDITIONS = ["age_head", "age_spouse", "filing_status", "n_persons", "n_persons_under_18"]
WEIGHT = "weight"
SMALL = ["RI", "DE", "VT", "WY", "ND"]
NATION = "US"
NATION_RECORDS = 40_000
PRIOR_RECORDS = 20_000


@dataclass(frozen=True)
class Case:
    """Training and held-out records, and records of other states to borrow from."""

    name: str
    train: pl.DataFrame
    holdout: pl.DataFrame
    nation: pl.DataFrame


def load_case(name: str, seed: int) -> Case:
    """Return the case of a state, or of the nation's sample, cut by a seed."""
    units = _units()
    if name == NATION:
        own = units.sample(NATION_RECORDS, seed=1000 + seed)
        nation = own.head(0)
    else:
        own = units.filter(pl.col("state") == name)
        nation = units.filter(pl.col("state") != name).sample(PRIOR_RECORDS, seed=seed)
    order = np.random.default_rng(seed).permutation(own.height)
    cut = int(0.75 * own.height)
    columns = [*CONDITIONS, *TARGETS, WEIGHT]
    return Case(
        name, own[order[:cut]].select(columns), own[order[cut:]].select(columns),
        nation.select(columns),
    )  # fmt: skip


def _units() -> pl.DataFrame:
    """Tax units of 2014 with the hidden state factor on wages undone."""
    data = PROJECT / "data"
    factors = pl.read_csv(data / "cps_state_wage_factors.csv").select("state", "wage_factor")
    return (
        pl.read_parquet(data / "cps_tax_units.parquet")
        .filter(pl.col("year") == 2014)
        .join(factors, on="state", maintain_order="left")
        .with_columns((pl.col("wages") / pl.col("wage_factor") - 1e-9).ceil().cast(pl.Int64))
    )
