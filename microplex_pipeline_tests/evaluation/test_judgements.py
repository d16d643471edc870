"""Judgements: of published and pooled figures by the survey's own estimates, of disclosure by chance."""

import polars as pl
import pytest

from microplex_pipeline.evaluation.judgements import disclosure_by_chance, totals_plausible


@pytest.mark.parametrize(
    ("kind", "ratio", "parameter"),
    [
        ("published", 0.9, None),
        ("published", 0.7, "max_total_ratio"),
        ("published", 1.3, "max_total_ratio"),
        ("pooled", 0.7, None),  # wages of New Mexico 2012 and South Dakota 2014
        ("pooled", 0.1, "max_pooled_ratio"),
        ("pooled", 10.0, "max_pooled_ratio"),
    ],
)
def test_a_pooled_total_may_be_farther_from_the_survey_than_a_published_one(
    rhode_island, schema, kind, ratio, parameter
):
    own = float((rhode_island["weight"] * rhode_island["wages"]).sum())
    row = {
        "entity": "tax_unit", "measure": "sum", "variable": "wages", "domain": "all",
        "value": ratio * own, "kind": kind, "source": "made up", "standard_error": None,
    }  # fmt: skip
    targets = pl.DataFrame([row], schema_overrides={"standard_error": pl.Float64})
    found = totals_plausible(rhode_island, targets, schema, 1.25, 2.0)
    assert found.passed == (parameter is None), found.message
    if parameter:
        assert f"{ratio * own:,.0f} {kind}" in found.message
        assert f"raise checks.{parameter}" in found.message


@pytest.mark.parametrize(
    ("value", "z", "passed"),
    [
        (0.018, 0.5, True),
        (0.024, 4.0, True),  # certain, and too small to matter
        (0.060, 2.0, True),  # large, and perhaps chance
        (0.060, 4.0, False),
    ],
)
@pytest.mark.parametrize("blocks", [False, True])
def test_disclosure_is_above_chance_if_it_matters_and_is_certain(value, z, passed, blocks):
    table = pl.DataFrame(
        {
            "measure": ["copies", "attribution", "membership_auc"],
            "value": [0.0, value, 0.6],
            "chance": [0.0, 0.018, 0.5],
            "z": [None, z, 9.0],  # people of other states are no chance of membership
            "meaning": ["", "amounts are learnt", "who was a respondent shows"],
        }
    )
    found = disclosure_by_chance(table, 3.0, 0.01, blocks)
    assert found.passed == passed
    if not passed:
        assert found.severity == ("error" if blocks else "warning")
        assert "attribution 6.00% for 1.80% by chance (amounts are learnt)" in found.message
        assert "do not release" in found.message
