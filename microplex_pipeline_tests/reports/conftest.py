"""Results for a page: Rhode Island 2014, with its survey records in place of synthetic ones."""

import polars as pl
import pytest

from microplex_pipeline.calibration.targets.published_areas import published_area_targets
from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.evaluation.area_errors import area_errors
from microplex_pipeline.evaluation.diagnostics import target_errors
from microplex_pipeline.evaluation.fidelity import fidelity_by_variable
from microplex_pipeline.reports import StateResults, state_summary

TOLERANCE, MAX_Z = 1e-3, 3.0


@pytest.fixture(scope="session")
def boundaries(data):
    return data / "geography" / "counties-albers-10m.json"


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
    targets = target_errors(calibrated, asked, "weight", "household_id")
    fidelity = fidelity_by_variable(
        rhode_island, calibrated, schema.amount_columns, "age_head", "weight"
    )
    fidelity = fidelity.with_columns(
        pl.col("variable").is_in([t.name for t in schema.targets if t.headline]).alias("headline")
    )
    disclosure = pl.DataFrame(
        {
            "measure": ["copies", "membership_auc"],
            "value": [0.00125, 0.51],
            "chance": [0.001, 0.5],
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
    return StateResults(
        schema, rhode_island, calibrated, targets, fidelity, disclosure, counties, TOLERANCE, MAX_Z
    )


@pytest.fixture(scope="session")
def summary(results):
    return state_summary(results)
