"""Results for a page: Rhode Island 2014, with its survey records in place of synthetic ones."""

import polars as pl
import pytest

from microplex_pipeline.calibration.targets.published_areas import published_area_targets
from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.evaluation.amount_fidelity import amount_fidelity
from microplex_pipeline.evaluation.area_errors import area_errors
from microplex_pipeline.evaluation.concentration import amount_concentration, target_concentration
from microplex_pipeline.evaluation.diagnostics import target_errors
from microplex_pipeline.evaluation.judgements import Judgement
from microplex_pipeline.evaluation.official import beside_official
from microplex_pipeline.reports import StateResults, state_summary

TOLERANCE, MAX_Z = 1e-3, 3.0
TARGETS = ["tax_unit sum n_persons [all]", "tax_unit sum wages [all]"]


@pytest.fixture(scope="session")
def boundaries(data):
    return data / "geography" / "counties-albers-10m.json"


@pytest.fixture(scope="session")
def citations(data):
    return data / "targets" / "citations.csv"


@pytest.fixture(scope="session")
def results(rhode_island, schema, data):
    first = pl.col("weight").first().over("household_id")  # families' weights differ in the survey
    calibrated = rhode_island.with_columns(first.alias("weight"), first.alias("design_weight"))
    persons, wages = (
        float((calibrated["weight"] * calibrated[column]).sum())
        for column in ("n_persons", "wages")
    )
    asked = pl.DataFrame(
        {
            "entity": ["tax_unit", "tax_unit"],
            "measure": ["sum", "sum"],
            "variable": ["n_persons", "wages"],
            "domain": ["all", "all"],
            "value": [persons, wages / 1.02],
            "kind": ["published", "modelled"],
            "source": ["Census & <script>alert(1)</script>", "the survey"],
            "note": [None, "859 survey records"],
        }
    )
    pulls = pl.DataFrame({"target": TARGETS, "pull": [0.2, 0.1], "against": [None, TARGETS[0]]})
    targets = target_errors(calibrated, asked, "weight", "household_id").join(pulls, on="target")
    fidelity = amount_fidelity(rhode_island, calibrated, schema)
    joint = pl.DataFrame(
        {
            "measure": ["amount_correlations", "auc"],
            "value": [0.02, 0.61],
            "by_sampling": [0.025, 0.5],
            "limit": [0.03, 0.52],
            "beyond": [False, True],
            "first": ["wages_head", None],
            "second": ["snap", None],
            "survey": [-0.1, None],
            "synthetic": [-0.05, None],
            "z": [2.1, None],
        }
    )
    disclosure = pl.DataFrame(
        {
            "measure": ["copies", "membership_auc"],
            "value": [0.00125, 0.51],
            "chance": [0.001, 0.5],
            "standard_error": [0.00005, 0.01],
            "z": [5.0, 1.0],
            "verdict": ["above chance", "no more than by chance"],
            "meaning": ["whole records come back", "<img src=x onerror=alert(1)>"],
        }
    )
    published = published_area_targets(
        load_target_sources(data / "targets" / "sources.yaml"), data / "targets", "RI", 2014
    )
    total = published["value"].sum()
    households = calibrated.unique("household_id", maintain_order=True)
    weights = published.select("geoid", pl.col("value") / total).join(
        households.select("household_id", "weight"), how="cross"
    )
    weights = weights.select("geoid", "household_id", pl.col("value") * pl.col("weight"))
    weights = weights.rename({"value": "weight"})
    counties = area_errors(calibrated, weights, published, "weight", "household_id")
    keys = ("weight", "household_id")
    concentration = pl.concat(
        [
            amount_concentration(calibrated, schema.headline_totals, *keys, weights),
            target_concentration(calibrated, asked, *keys),
        ]
    )
    compared = pl.DataFrame(
        {
            "entity": "household", "measure": "count", "variable": "households", "domain": "all",
            "value": [410_347.0], "source": "ACS 2011-2013",
        }
    )  # fmt: skip
    official = beside_official(calibrated, asked, compared, *keys)
    held_out = pl.DataFrame(
        {
            "family": ["persons by age", "persons by age", "the survey's amounts"],
            "target": [
                "person count persons [age:0-17]",
                "person count persons [age:65+]",
                TARGETS[1],
            ],
            "value": [2e5, 1.5e5, 2e10],
            "standard_error": [None, None, 4e8],
            "synthetic": [0.02, -0.04, 0.05],
            "survey": [0.01, 0.02, None],
            "uncalibrated": [0.06, -0.02, 0.1],
        }
    )
    judgements = [
        Judgement("targets_met", False, "1 of 2 targets <b>missed</b>", "error"),
        Judgement("weights_even", False, "one weight is large"),
        Judgement("counties_add_up", True, "they do"),
    ]
    return StateResults(
        schema, rhode_island, calibrated, targets, fidelity, joint, disclosure, counties,
        concentration, official, held_out, judgements, TOLERANCE, MAX_Z,
        {"largest_share": 0.1, "top_ten_share": 0.5},
    )  # fmt: skip


@pytest.fixture(scope="session")
def summary(results):
    return state_summary(results)
