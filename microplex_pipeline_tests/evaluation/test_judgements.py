"""Judgements of published and pooled figures by the survey's own estimates."""

import polars as pl
import pytest

from microplex_pipeline.evaluation.judgements import totals_plausible


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
