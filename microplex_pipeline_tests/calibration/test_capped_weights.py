import polars as pl
import pytest

from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline.calibration.capped_weights import calibrated_weights
from microplex_pipeline.evaluation.cost_of_bounds import cost_of_bounds
from microplex_pipeline.evaluation.diagnostics import target_errors


@pytest.fixture(scope="module")
def records():
    return pl.DataFrame(
        {
            "household_id": range(200),
            "group": [k % 4 for k in range(200)],
            "pay": [float(k % 50) for k in range(200)],
            "weight": [10.0] * 200,
            "design_weight": [10.0] * 200,
        }
    )


def targets(published, modelled, standard_error=None):
    return pl.DataFrame(
        {
            "entity": "record",
            "measure": ["count", "count"],
            "variable": "rows",
            "domain": ["all", "group:0"],
            "value": [published, modelled],
            "kind": ["published", "modelled"],
            "standard_error": [None, standard_error],
            "tolerance": [None, None],
        },
        schema_overrides={"standard_error": pl.Float64, "tolerance": pl.Float64},
    )


def calibrate(records, asked, bounds):
    return calibrated_weights(records, asked, "weight", "household_id", bounds)


def test_weights_stay_within_bounds_and_meet_targets_that_they_can(records):
    asked = targets(2200.0, 800.0)
    capped = calibrate(records, asked, (0.5, 1.7))
    ratios = capped["weight"] / 10
    assert ratios.min() >= 0.5
    assert ratios.max() <= 1.7
    errors = target_errors(capped, asked, "weight", "household_id")
    assert errors["relative_error"].abs().max() < 1e-8
    assert calibrate(records, asked, None).equals(calibrate(records, asked, None))


def test_a_target_with_a_standard_error_gives_way_and_its_cost_is_told(records):
    asked = targets(
        2000.0, 900.0, standard_error=9.0
    )  # the group would need 1.8 times its weights
    capped = calibrate(records, asked, (0.5, 1.5))
    errors = target_errors(capped, asked, "weight", "household_id")["relative_error"]
    assert abs(errors[0]) < 1e-8
    assert -0.4 < errors[1] < -0.1
    assert capped["weight"].max() <= 15 + 1e-9
    cost = cost_of_bounds(capped, asked, "weight", "household_id", (0.5, 1.5), 1e-3, 3.0)
    assert cost.missed == ["record count rows [group:0]"]
    assert cost.free["largest_ratio"] == pytest.approx(1.8, rel=0.02)
    assert cost.capped["design_effect"] < cost.free["design_effect"]
    assert cost.at_bounds >= 40


def test_records_made_from_a_smaller_survey_give_way_to_its_totals(records):
    asked = targets(2000.0, 700.0, standard_error=80.0)

    def miss(surveyed):
        weighted = calibrated_weights(records, asked, "weight", "household_id", surveyed=surveyed)
        return abs(target_errors(weighted, asked, "weight", "household_id")["z"][1])

    assert miss(50) < 0.5 * miss(200)
    assert (
        miss(200) == miss(None) == miss(5000)
    )  # fewer records than surveyed: one observation each


def test_published_targets_out_of_reach_are_refused_with_the_bounds(records):
    with pytest.raises(CalibrationError, match=r"between 0.5 and 1.5 .* Widen calibration.bounds"):
        calibrate(records, targets(4000.0, 500.0), (0.5, 1.5))
