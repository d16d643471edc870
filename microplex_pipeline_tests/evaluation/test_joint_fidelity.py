import polars as pl
import pytest

from microplex_pipeline.evaluation.columns import JOINT_COLUMNS
from microplex_pipeline.evaluation.joint_fidelity import joint_fidelity


@pytest.fixture(scope="module")
def measured(rhode_island, schema):
    def measure(synthetic, survey=rhode_island):
        table = joint_fidelity(
            survey,
            synthetic,
            schema.target_columns,
            schema.condition_columns,
            schema.weight,
            schema.household,
        )
        assert table.columns == list(JOINT_COLUMNS)
        return {row["measure"]: row for row in table.rows(named=True)}

    return measure


def test_another_half_of_the_survey_is_within_sampling(measured, rhode_island):
    first = pl.col("household_id").hash(3) % 2 == 0
    found = measured(rhode_island.filter(~first), rhode_island.filter(first))
    assert [name for name, row in found.items() if row["beyond"]] == []
    assert found["auc"]["value"] == pytest.approx(0.5, abs=0.06)


def test_amounts_that_lost_their_dependence_are_beyond_sampling(measured, rhode_island):
    shuffled = rhode_island.with_columns(
        pl.col(name).shuffle(seed=1) for name in ("wages_head", "social_security", "snap")
    )
    found = measured(shuffled)
    beyond = {name for name, row in found.items() if row["beyond"]}
    assert beyond >= {"amount_correlations", "sign_correlations", "auc"}
    assert found["auc"]["value"] > 0.6
    pair = {found["amount_correlations"]["first"], found["amount_correlations"]["second"]}
    assert pair & {"wages_head", "social_security", "snap"}
    assert abs(found["amount_correlations"]["z"]) > 4


def test_a_survey_with_one_amount_has_no_correlations(rhode_island):
    table = joint_fidelity(
        rhode_island, rhode_island, ["wages_head"], ["age_head"], "weight", "household_id"
    )
    assert table["measure"].to_list() == ["household_correlations", "coverage", "auc"]
    assert table["first"].to_list() == ["wages_head", None, None]


def test_units_that_know_nothing_of_each_other_are_beyond_sampling(measured, rhode_island, schema):
    # units of the same place in the household change their amounts among households
    amounts = schema.target_columns
    shuffled = rhode_island.with_columns(
        pl.col(amounts).shuffle(seed=1).over("unit_number", "filing_status", "household_units")
    )
    found = measured(shuffled)["household_correlations"]
    assert found["beyond"]
    assert found["first"] == found["second"]
