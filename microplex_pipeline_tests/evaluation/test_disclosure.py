from itertools import combinations

import numpy as np
import polars as pl
import pytest

from microplex_pipeline.evaluation.disclosure import (
    ABOVE,
    NO_MORE,
    copied_records,
    disclosure,
    disclosure_table,
    disclosure_verdict,
    unique_amounts,
    whole_record_copies,
)
from microplex_pipeline.evaluation.fidelity import fidelity, fidelity_by_variable
from microplex_pipeline.evaluation.nearness import (
    attribution,
    attribution_beside_others,
    nearness,
)

TARGETS, CONDITIONS = ["wages_head", "social_security", "snap"], ["age_head", "n_persons"]


@pytest.fixture(scope="module")
def halves(rhode_island):
    shuffled = rhode_island.sample(fraction=1.0, shuffle=True, seed=0)
    third = shuffled.height // 3
    return shuffled.head(third), shuffled.slice(third, third), shuffled.tail(third)


def test_copies_of_training_records_are_detected(halves):
    train, holdout, _ = halves
    measures = disclosure(train, holdout, train, TARGETS, CONDITIONS)
    assert measures["copies"] > 0.1
    assert measures["copies"] > 3 * measures["copies_by_chance"]
    assert measures["unique_amounts"] > 0.1
    assert measures["unique_amounts_by_chance"] == 0
    assert measures["nearer_to_train"] > 0.7
    assert measures["membership_auc"] > 0.7
    assert measures["attribution_train"] > measures["attribution_holdout"] + 0.1


def test_fresh_people_disclose_nothing(halves):
    measures = disclosure(*halves, TARGETS, CONDITIONS)
    assert measures["nearer_to_train"] == pytest.approx(0.5, abs=0.1)
    assert measures["membership_auc"] == pytest.approx(0.5, abs=0.08)
    gap = measures["attribution_train"] - measures["attribution_holdout"]
    assert gap == pytest.approx(0, abs=0.05)


def test_only_records_with_two_amounts_count_as_copies():
    people = pl.DataFrame({"age": [30, 40, 50], "a": [0, 5, 5], "b": [0, 0, 7]})
    assert whole_record_copies(people, people, ["a", "b"], ["age"]) == pytest.approx(1 / 3)


def test_unique_amounts_belong_to_one_respondent_of_both_samples():
    train = pl.DataFrame({"x": [1, 2, 2, 3, 0]})
    holdout = pl.DataFrame({"x": [3, 9, 8, 0, 0]})
    # amounts of exactly one respondent: 1 (training), 8 and 9 (held out)
    drawn = pl.DataFrame({"x": [1, 1, 2, 3, 9, 0]})
    rate = unique_amounts(train, holdout, drawn, ["x"])
    assert rate.value == pytest.approx(2 / 5)
    assert rate.chance == pytest.approx(1 / 5 * 1 / 2)


def test_the_standard_error_is_over_all_divisions_into_two_samples():
    amounts = [3, 5, 8, 13, 21]
    drawn = pl.DataFrame({"x": [3] * 4 + [8] * 3 + [21, 99]})
    differences = []
    for seen in combinations(amounts, 3):
        unseen = [a for a in amounts if a not in seen]
        train, holdout = pl.DataFrame({"x": seen}), pl.DataFrame({"x": unseen})
        rate = unique_amounts(train, holdout, drawn, ["x"])
        differences.append(rate.value - rate.chance)
    assert np.mean(differences) == pytest.approx(0)
    assert rate.standard_error == pytest.approx(np.std(differences))


def test_copies_and_unique_amounts_above_chance_are_significant(halves):
    train, holdout, fresh = halves
    for of_fresh, of_copies in [
        (unique_amounts(train, holdout, of, TARGETS) for of in (fresh, train)),
        (copied_records(train, holdout, of, TARGETS, CONDITIONS) for of in (fresh, train)),
    ]:
        assert abs(of_fresh.value - of_fresh.chance) <= 3 * of_fresh.standard_error
        assert of_copies.value - of_copies.chance > 10 * of_copies.standard_error


def test_attribution_counts_amounts_near_the_truth():
    people = pl.DataFrame({"age": [30.0, 60.0], "x": [100, 200]})
    drawn = pl.DataFrame({"age": [31.0, 61.0], "x": [104, 300]})
    assert attribution(people, drawn, ["x"], ["age"]).value == pytest.approx(0.5)


def test_real_records_are_faithful_and_shuffled_ones_are_not(rhode_island):
    same = fidelity(rhode_island, rhode_island, TARGETS, CONDITIONS, "weight", paired=False)
    assert same["ks"] == same["zero_error"] == same["correlation_error"] == 0
    assert same["coverage"] == 1
    broken = rhode_island.with_columns(pl.col("wages_head").shuffle(seed=1))
    measures = fidelity(rhode_island, broken, TARGETS, CONDITIONS, "weight")
    assert measures["ks_within_groups"] > 0.05
    assert measures["sign_correlation_error"] > 0.05
    assert measures["auc_low"] > 0.55
    table = fidelity_by_variable(rhode_island, broken, TARGETS, "age_head", "weight")
    assert table["variable"].to_list() == TARGETS
    assert np.isfinite(table.drop("variable").to_numpy()).all()


def test_copies_of_people_with_missing_conditions_are_copies():
    people = pl.DataFrame({"k": [1, None], "u": [1.0, 3.0], "v": [5.0, 7.0]})
    assert whole_record_copies(people, people, ["u", "v"], ["k"]) == 1


def test_every_measure_has_a_verdict_by_its_standard_error(halves):
    train, holdout, fresh = halves
    of_fresh, of_copies = (
        disclosure_table(train, holdout, drawn, TARGETS, CONDITIONS, "household_id")
        for drawn in (fresh, train)
    )
    assert ABOVE not in of_fresh["verdict"].to_list()
    assert of_copies["verdict"].to_list() == [ABOVE] * 5
    gap = (of_copies["value"] - of_copies["chance"]) / of_copies["standard_error"]
    assert of_copies["z"].to_list() == pytest.approx(gap.to_list())
    assert [disclosure_verdict(z) for z in (None, 1.9, 2.1, 3.1)] == [
        NO_MORE, NO_MORE, "possibly above chance", ABOVE,
    ]  # fmt: skip


def test_the_standard_error_of_nearness_is_over_all_divisions_of_people():
    people = pl.DataFrame({"x": [1.0, 4.0, 5.0, 11.0, 20.0, 21.0]})
    drawn = pl.DataFrame({"x": [1.0, 1.0, 1.0, 5.0, 11.0, 20.0, 20.0]})
    found = []
    for chosen in combinations(range(6), 3):
        inside = pl.Series([k in chosen for k in range(6)])
        near, _ = nearness(people.filter(inside), people.filter(~inside), drawn, ["x"])
        found.append(near)
    assert np.mean([near.value for near in found]) == pytest.approx(0.5)
    spread = np.std([near.value for near in found])
    assert np.mean([near.standard_error for near in found]) == pytest.approx(spread)


def test_attribution_is_compared_with_respondents_of_other_households():
    people = pl.DataFrame(
        {"age": [30, 30, 40, 40, 80], "household_id": [1, 1, 2, 3, 4], "x": [7, 7, 9, 9, 5]}
    )
    drawn = pl.DataFrame({"age": [30, 40, 80], "x": [7, 8, 5]})
    found = attribution_beside_others(people, drawn, ["x"], ["age"], "household_id")
    # the synthetic records tell the amounts of households 1 and 4, the respondents those of 2 and 3
    assert found.value == pytest.approx(3 / 5)
    assert found.chance == pytest.approx(2 / 5)
    assert found.standard_error == pytest.approx((5 - 5 * 0.2**2) ** 0.5 / 5)


def test_a_large_household_is_compared_with_others_too():
    alike = [{"age": 30, "household_id": 1, "x": 7}] * 40
    people = pl.DataFrame([*alike, {"age": 60, "household_id": 2, "x": 7}])
    found = attribution_beside_others(people, people, ["x"], ["age"], "household_id")
    assert (found.value, found.chance) == (1, 1)
    apart = people.with_columns(x=pl.when(pl.col("age") == 60).then(1).otherwise("x"))
    assert attribution_beside_others(apart, apart, ["x"], ["age"], "household_id").chance == 0


def test_another_population_does_not_count_as_disclosure_in_attribution(rhode_island):
    """Amounts that everybody of a state has are no secret of its respondents."""
    rng = np.random.default_rng(0)
    local = rhode_island.with_columns(pl.lit(16_728).alias("social_security"))
    shuffled = local.with_columns(
        pl.Series(name, rng.permutation(local[name])) for name in ("wages_head", "snap")
    )
    table = disclosure_table(local, rhode_island, shuffled, TARGETS, CONDITIONS, "household_id")
    by_measure = {row["measure"]: row for row in table.iter_rows(named=True)}
    assert by_measure["attribution"]["value"] > 0.3
    assert by_measure["attribution"]["verdict"] == NO_MORE


def test_people_of_one_household_cannot_be_compared_with_others():
    alike = pl.DataFrame([{"age": 30, "household_id": 1, "x": 7}] * 20)
    with pytest.raises(ValueError, match="all respondents are of one household"):
        attribution_beside_others(alike, alike, ["x"], ["age"], "household_id")
