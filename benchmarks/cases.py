"""The public cases: real tax units, split 75/25 at random into training and held-out records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks import CHECKOUT

TARGETS = [
    "wages", "business_income", "farm_income", "taxable_interest", "ordinary_dividends",
    "capital_gain_distributions", "ira_distributions", "pensions_total",
    "unemployment_compensation", "social_security", "snap", "ssi",
]  # fmt: skip
MORE_TARGETS = [
    "tax_exempt_interest", "qualified_dividends", "pensions_taxable", "tanf", "wic",
    "housing_assistance", "veterans_benefits", "medicaid_value", "medicare_value", "other_benefits",
    "student_loan_interest", "self_employed_health_insurance", "self_employed_pension_contributions",
    "child_care_expenses", "medical_expenses", "state_income_or_sales_tax", "charitable_cash",
    "misc_deductions",
]  # fmt: skip
CONDITIONS = ["age_head", "age_spouse", "filing_status", "n_persons", "n_persons_under_18"]
WEIGHT = "weight"
YEAR = 2014
SMALL = ["RI", "DE", "VT", "WY", "ND"]
NATION = "US"
WIDE = "CA, 30 targets"
EVERYONE = "all years"
NATION_RECORDS = 40_000
PRIOR_RECORDS = 60_000  # as in the asset national_prior, and so are the settings of the training
PRIOR_TRAINING = {"batch_size": 1024, "epochs": 20}


@dataclass(frozen=True)
class Case:
    """Training and held-out records, and records of other states for the prior."""

    name: str
    train: pl.DataFrame
    holdout: pl.DataFrame
    nation: pl.DataFrame
    targets: list[str]


def load_case(name: str, seed: int) -> Case:
    """Return a case, split by a seed.

    Parameters
    ----------
    name : a state, NATION (a sample of it), WIDE (California with more targets) or EVERYONE.
    seed : decides the split and the samples.
    """
    units = units_of_all_years()
    if name != EVERYONE:
        units = units.filter(pl.col("year") == YEAR)
    targets = [*TARGETS, *MORE_TARGETS] if name == WIDE else TARGETS
    if name == NATION:
        own = units.sample(NATION_RECORDS, seed=1000 + seed)
        nation = own.head(0)
    elif name == EVERYONE:
        own, nation = units, units.head(0)
    else:
        state = pl.col("state") == name[:2]
        own = units.filter(state)
        nation = units.filter(~state).sample(PRIOR_RECORDS, seed=seed)
    order = np.random.default_rng(seed).permutation(own.height)
    cut = int(0.75 * own.height)
    columns = [*CONDITIONS, *targets, WEIGHT]
    return Case(
        name, own[order[:cut]].select(columns), own[order[cut:]].select(columns),
        nation.select(columns), targets,
    )  # fmt: skip


def units_of_all_years() -> pl.DataFrame:
    """Return the tax units of all years, with the state factors removed from wages."""
    data = CHECKOUT / "data"
    factors = pl.read_csv(data / "cps_state_wage_factors.csv").select("state", "wage_factor")
    return (
        pl.read_parquet(data / "cps_tax_units.parquet")
        .join(factors, on="state", maintain_order="left")
        .with_columns((pl.col("wages") / pl.col("wage_factor") - 1e-9).ceil().cast(pl.Int64))
    )
