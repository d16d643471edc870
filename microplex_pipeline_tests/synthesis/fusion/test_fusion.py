"""Fusion: one survey's targets for another's rows."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import fuse
from microplex_pipeline.synthesis import TrainingSettings
from microplex_pipeline.synthesis.fusion.frechet_bounds import MIN_ROWS, joint_bounds

ON = ["age_head", "filing_status", "n_persons"]
EXACT = 1e-9
QUICK = {"epochs": 1, "settings": TrainingSettings(min_steps=20)}


@pytest.fixture(scope="module")
def surveys(records):
    """Return two halves of the records, donor and recipient, both with everything."""
    number = pl.int_range(pl.len()) % 2
    columns = [*ON, "wages_head", "social_security", "ssi", "weight"]
    donor = records.filter(number == 0).select(columns)
    return donor, records.filter(number == 1).select(columns)


@pytest.fixture(scope="module")
def fused(surveys):
    donor, recipient = surveys
    return fuse(
        donor, recipient.drop("social_security", "ssi"), on=ON,
        targets=["social_security", "ssi"], epochs=20, seed=0,
    )  # fmt: skip


def test_the_recipient_keeps_its_rows_and_gets_the_targets(surveys, fused):
    recipient = surveys[1].drop("social_security", "ssi")
    assert fused.records.select(recipient.columns).equals(recipient)
    assert fused.records.columns[-3:] == ["social_security", "ssi", "beyond_support"]


def test_fused_means_are_those_of_the_recipients_own(surveys, fused):
    """Within 3 standard errors of the difference of the two halves."""
    donor, recipient = surveys
    for target, of_donor, of_fused in fused.means.rows():
        own = np.average(recipient[target], weights=recipient["weight"])
        error = np.hypot(*(_error(half[target], half["weight"]) for half in (donor, recipient)))
        assert of_donor == pytest.approx(np.average(donor[target], weights=donor["weight"]))
        assert abs(of_fused - own) < 3 * error, target


def _error(values, weights):
    w = weights.to_numpy() / weights.sum()
    return float(np.sqrt((w**2 * (values.to_numpy() - (w * values.to_numpy()).sum()) ** 2).sum()))


def test_the_true_joint_distribution_lies_within_the_bounds(surveys):
    """Wages of one half, Social Security of the other; all people have both."""
    donor, recipient = surveys
    people = pl.concat([donor, recipient])
    weights = people["weight"].to_numpy()
    found = joint_bounds(
        people.select(*ON, "wages_head"), people.select(*ON, "social_security"),
        ("wages_head", "social_security"), ON, weights, weights,
    )  # fmt: skip
    assert found["low"].sum() <= 1 <= found["high"].sum()
    assert found["independent"].sum() == pytest.approx(1)
    for wages, benefit, low, high, independent in found.rows():
        truth = weights[
            _inside(people, "wages_head", wages) & _inside(people, "social_security", benefit)
        ].sum()
        assert low - EXACT <= truth / weights.sum() <= high + EXACT
        assert low - EXACT <= independent <= high + EXACT
    neither = found.filter(wages_head="high", social_security="high")
    assert neither["high"].item() < 0.1  # the bounds say something


def _inside(people, name, of_class):
    values, weights = people[name].to_numpy(), people["weight"].to_numpy()
    order = np.argsort(np.where(values > 0, values, np.inf))[: (values > 0).sum()]
    reached = weights[order].cumsum()
    middle = values[order][np.searchsorted(reached, reached[-1] / 2)]
    return {"0": values == 0, "low": (values != 0) & (values <= middle), "high": values > middle}[
        of_class
    ]


def test_bounds_of_fused_surveys_hold_what_was_fused(fused, surveys):
    found = fused.bounds(("wages_head", "ssi"))
    drawn = fused.records
    some = drawn.filter((pl.col("wages_head") == 0) & (pl.col("ssi") == 0))["weight"].sum()
    neither = found.filter(wages_head="0", ssi="0").row(0, named=True)
    assert neither["low"] - 0.05 < some / drawn["weight"].sum() < neither["high"] + 0.05


@pytest.mark.parametrize("n", [MIN_ROWS - 1, 4 * MIN_ROWS])
def test_strata_narrow_the_bounds_where_rows_suffice(n):
    """Two variables that a common one decides: with strata nothing is left open."""
    common = pl.Series("c", [0, 1] * n)
    frame = pl.DataFrame({"c": common, "a": common, "b": 1 - common})
    weights = np.ones(frame.height)
    found = joint_bounds(frame, frame, ("a", "b"), ["c"], weights, weights)
    both = found.filter(a="1", b="1").row(0, named=True)
    assert both["low"] == 0
    assert both["high"] == (0 if n >= MIN_ROWS else 0.5)


def test_rows_unlike_all_donors_are_flagged(surveys):
    donor, recipient = surveys
    young = donor.filter(pl.col("age_head") < 60)
    fusion = fuse(young, recipient.select(*ON, "weight"), on=ON, targets=["ssi"], seed=0, **QUICK)
    old = pl.col("age_head") > young["age_head"].max()
    assert fusion.records.filter(old)["beyond_support"].all()
    assert fusion.records.filter(~old)["beyond_support"].mean() < 0.05
    distances = dict(fusion.overlap.select("variable", "distance").rows())
    assert distances["age_head"] == pytest.approx(
        recipient.filter(pl.col("age_head") >= 60)["weight"].sum() / recipient["weight"].sum(),
        abs=0.05,
    )
    assert distances["filing_status"] < 0.5


def test_codings_are_harmonized(surveys):
    donor, recipient = surveys
    names = {"1": "single", "2": "joint", "3": "separate", "4": "head", "5": "widow"}
    coded = recipient.select(*ON).with_columns(pl.col("filing_status").replace_strict(names))
    same = (names, {name: name for name in names.values()})
    fusion = fuse(
        donor, coded, on=ON, targets=["ssi"], recipient_weight=None, seed=0, **QUICK,
        codings={"filing_status": same},
    )  # fmt: skip
    assert fusion.records["filing_status"].equals(coded["filing_status"])
    plain = fuse(donor, coded.with_columns(filing_status=recipient["filing_status"]), on=ON,
                 targets=["ssi"], recipient_weight=None, seed=0, **QUICK)  # fmt: skip
    assert fusion.overlap.equals(plain.overlap)


def test_the_assumption_is_in_the_summary(fused):
    assert "conditional independence" in repr(fused)
    assert "age_head, filing_status, n_persons" in fused.assumption
    assert "rows" in repr(fused)


def test_frames_keep_their_kind(surveys):
    donor, recipient = (half[:300].to_pandas() for half in surveys)
    fusion = fuse(donor, recipient.drop(columns=["ssi"]), on=ON, targets=["ssi"], **QUICK)
    assert type(fusion.records) is type(fusion.overlap) is type(fusion.means) is type(donor)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda r: r.drop("age_head"), {}, "missing columns: age_head"),
        (lambda r: r.with_columns(ssi=1), {}, "the recipient has ssi already"),
        (
            lambda r: r.with_columns(pl.col("n_persons").cast(pl.String)),
            {},
            "'n_persons' has type UInt8 in the donor and String in the recipient",
        ),
        (
            lambda r: r.with_columns(pl.col("filing_status").replace("1", "single")),
            {},
            "'filing_status' is 'single' in the recipient and never in the donor",
        ),
        (
            lambda r: r.with_columns(pl.col("n_persons") - 1),
            {},
            "'n_persons' is 0 in the recipient and never in the donor",
        ),
        (lambda r: r, {"codings": {"rent": ({}, {})}}, "not of rent"),
        (
            lambda r: r,
            {"codings": {"filing_status": ({"1": "1"}, {"1": "1"})}},
            "the coding of 'filing_status' does not say what '2'",
        ),
        (lambda r: r, {"targets": ["rent"]}, "missing columns: rent"),
        (lambda r: r, {"donor_weight": "w"}, "no column of weights 'w'"),
        (lambda r: r.with_columns(weight=-1.0), {}, "negative"),
        (
            lambda r: r.with_columns(age_head=pl.lit(None, pl.Int64)),
            {},
            "condition 'age_head' is missing in .* rows, but never in training",
        ),
    ],
)  # fmt: skip
def test_surveys_that_cannot_be_fused_are_refused_by_name(surveys, change, options, message):
    donor, recipient = surveys
    with pytest.raises(ValueError, match=message):
        fuse(
            donor, change(recipient.select(*ON, "weight")),
            **{"on": ON, "targets": ["ssi"], **QUICK, **options},
        )  # fmt: skip


def test_bounds_are_of_a_pair_that_no_survey_has(fused):
    for pair in (("age_head", "ssi"), ("wages_head", "age_head"), ("ssi", "social_security")):
        with pytest.raises(ValueError, match="a column of the recipient's own and a target"):
            fused.bounds(pair)


def test_whole_and_decimal_codes_are_the_same(surveys):
    donor, recipient = surveys
    whole = donor.with_columns(pl.col("filing_status").cast(pl.Int64))
    decimal = recipient.select(*ON, "weight").with_columns(
        pl.col("filing_status").cast(pl.Float64)
    )
    same = decimal.with_columns(pl.col("filing_status").cast(pl.Int64))
    found, expected = (
        fuse(whole, of, on=ON, targets=["ssi"], **QUICK).records["ssi"] for of in (decimal, same)
    )
    assert found.equals(expected)


def test_values_that_nobody_observed_do_not_count_as_zero(surveys):
    donor, recipient = surveys
    known = pl.int_range(pl.len()) % 2 == 0
    some = donor.with_columns(pl.when(known).then("social_security").alias("social_security"))
    fusion = fuse(
        some, recipient.select(*ON, "ssi", "weight"), on=ON, targets=["social_security"],
        missing={"social_security": "at_random"}, **QUICK,
    )  # fmt: skip
    of_known = donor.filter(known)
    mean = np.average(of_known["social_security"], weights=of_known["weight"])
    assert fusion.means["donor"][0] == pytest.approx(mean)
    assert "missing" not in fusion.bounds(("ssi", "social_security"))["social_security"]


def test_a_common_number_that_is_nan_is_missing(surveys):
    nan = [f.with_columns(pl.col("age_head").cast(pl.Float64)) for f in surveys]
    null = pl.when(pl.int_range(pl.len()) % 9 > 0).then("age_head")
    found = []
    for missing in (None, float("nan")):
        donor, recipient = (f.with_columns(null.otherwise(missing)) for f in nan)
        found.append(fuse(donor, recipient.select(*ON, "weight"), on=ON, targets=["ssi"], **QUICK))
    assert found[0].overlap.equals(found[1].overlap)
    assert found[0].records["ssi"].equals(found[1].records["ssi"])
    with pytest.raises(ValueError, match="on must be a list"):
        fuse(*surveys, on="age_head", targets=["ssi"])
