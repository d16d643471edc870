import sys
import zipfile

import numpy as np
import polars as pl
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from microplex_pipeline import Synthesizer
from microplex_pipeline.synthesis import Between, PrivacyBudget, Sum, TrainingSettings
from microplex_pipeline.synthesis.privacy.privacy_budget import Mechanism, PrivacySpent

TARGETS = ["wages_head", "business_income_head", "social_security"]
CONDITIONS = ["age_head", "filing_status", "n_persons"]
BOUNDS = {
    "wages_head": (0, 5e6),
    "business_income_head": (-1e6, 5e6),
    "social_security": (0, 200_000),
    "age_head": (0, 85),
    "n_persons": (1, 30),
    "weight": (0, 20_000),
}
STATUSES = {"filing_status": ["1", "2", "3", "4"]}
QUICK = TrainingSettings(epochs=3, batch_size=256, min_steps=10)


def budget(records, **changed):
    given = {"epsilon": 3.0, "delta": 1e-6, "records": records.height, "bounds": BOUNDS}
    given["categories"] = STATUSES
    return PrivacyBudget(**{**given, "noise_seed": 1, **changed})


def private(records, targets=TARGETS, conditions=CONDITIONS, **changed):
    return Synthesizer(
        targets, conditions, settings=QUICK, privacy=budget(records, **changed), seed=0
    )


@pytest.fixture(scope="module")
def fitted(records):
    return private(records).fit(records, weight_col=None)


@pytest.mark.parametrize("uses", [1, 20])
@pytest.mark.parametrize("noise", [4.0, 30.0])
def test_the_accountant_agrees_with_the_exact_gaussian_mechanism(uses, noise):
    # Balle and Wang 2018, Improving the Gaussian Mechanism for Differential Privacy, theorem 8
    sensitivity = np.sqrt(uses) / noise

    def delta(epsilon):
        a, b = sensitivity / 2 - epsilon / sensitivity, -sensitivity / 2 - epsilon / sensitivity
        return norm.cdf(a) - np.exp(epsilon) * norm.cdf(b)

    exact = brentq(lambda e: delta(e) - 1e-6, 0, 100)
    none = Mechanism(1e6, 1.0, 1)
    found = PrivacySpent.of(1e-6, Mechanism(noise, 1.0, uses), none).epsilon
    assert exact <= found <= 1.15 * exact + 0.02


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0, 10.0])
def test_what_is_given_is_spent_and_no_more(records, epsilon):
    given = budget(records, epsilon=epsilon)
    margins = given.margins(20)
    spent = PrivacySpent.of(given.delta, margins, given.training(margins, 0.02, 500))
    assert 0.99 * epsilon <= spent.epsilon <= epsilon
    alone = PrivacySpent.of(given.delta, margins, Mechanism(1e6, 1.0, 1))
    assert alone.epsilon == pytest.approx(given.margin_share * epsilon, rel=0.01)


def test_a_private_fit_draws_plausible_records_and_says_what_it_spent(records, fitted):
    spent = fitted.privacy_
    assert spent.epsilon <= 3
    assert spent.margins.steps == len(TARGETS) * 2 + len(CONDITIONS)
    assert "private: epsilon=3, delta=1e-06 per record" in repr(fitted)
    assert fitted.n_records_ is None
    assert fitted.training_details_.is_empty()
    assert fitted.training_history_ == []
    drawn = fitted.generate(records.select(CONDITIONS), seed=0)
    for target in TARGETS:
        low, high = BOUNDS[target]
        assert drawn[target].is_between(low, high).all()
    share = (drawn["wages_head"] > 0).mean()
    assert share == pytest.approx((records["wages_head"] > 0).mean(), abs=0.1)
    assert np.isfinite(fitted.log_prob(records)).all()


def test_one_amount_of_few_people_does_not_come_back(records):
    rare = 1_234_567
    marked = records.with_columns(
        wages_head=pl.when(pl.int_range(pl.len()) < 5).then(rare).otherwise("wages_head")
    )
    conditions = marked.select(CONDITIONS)

    def found(synthesizer):
        fit = synthesizer.fit(marked, weight_col=None)
        return sum((fit.generate(conditions, s)["wages_head"] == rare).sum() for s in range(5))

    assert found(Synthesizer(TARGETS, CONDITIONS, settings=QUICK)) > 0
    assert found(private(marked)) == 0


def test_the_structure_of_the_model_does_not_depend_on_the_records(records, fitted):
    same = records.with_columns(wages_head=pl.lit(0.0), social_security=pl.lit(0.0))
    other = private(records).fit(same, weight_col=None)
    assert other.zero_model_.n_classes == fitted.zero_model_.n_classes
    assert other.zero_model_.zeros == fitted.zero_model_.zeros


def test_the_file_keeps_what_was_spent_and_not_the_seed_of_the_noise(records, fitted, tmp_path):
    fitted.save(tmp_path / "model")
    again = Synthesizer.load(tmp_path / "model")
    assert again.privacy_ == fitted.privacy_
    assert again.privacy == fitted.privacy.model_copy(update={"noise_seed": None})
    assert again.settings == QUICK
    conditions = records.select(CONDITIONS)
    assert again.generate(conditions, 3).equals(fitted.generate(conditions, 3))
    assert b"noise_seed" not in (tmp_path / "model").read_bytes()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"epsilon": 3.0', '"epsilon": -1'),
        ('"epsilon": 3.0', '"epsilon": NaN'),
        ('"unit": "record"', '"unit": "nobody"'),
        ('"records": 1204', '"records": 1204, "noise_seed": "x"'),
        ('[0.0, 5000000.0]', '[0.0, 1e999]'),
    ],
)  # fmt: skip
def test_a_forged_budget_is_refused(fitted, tmp_path, old, new):
    fitted.save(tmp_path / "model")
    entries = zipfile.ZipFile(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "forged", "w") as forged:
        for name in entries.namelist():
            content = entries.read(name)
            if name == "format.json":
                assert old.encode() in content
                content = content.replace(old.encode(), new.encode())
            forged.writestr(name, content)
    with pytest.raises(ValueError, match="forged is not a synthesizer file, or is damaged"):
        Synthesizer.load(tmp_path / "forged")


def test_noise_repeats_with_its_seed_alone(records, fitted):
    few = records.select(CONDITIONS).head(200)
    again = private(records).fit(records, weight_col=None)
    assert again.generate(few, 0).equals(fitted.generate(few, 0))
    fresh = private(records, noise_seed=None).fit(records, weight_col=None)
    assert not fresh.generate(few, 0).equals(fitted.generate(few, 0))


def test_weights_count_up_to_their_bound(records):
    spent = private(records).fit(records, weight_col="weight").privacy_
    assert spent.epsilon <= 3
    with pytest.raises(ValueError, match="no bounds of the weights 'weight'"):
        private(records, bounds=without("weight")).fit(records)
    with pytest.raises(ValueError, match="larger than 2, the privacy budget's largest"):
        private(records, bounds={**BOUNDS, "weight": (0, 2)}).fit(records)


def without(name):
    return {k: v for k, v in BOUNDS.items() if k != name}


def test_what_cannot_be_accounted_for_is_refused(records, fitted):
    fit = {"weight_col": None}
    with pytest.raises(ValueError, match="no bounds of 'age_head'"):
        private(records, bounds=without("age_head")).fit(records, **fit)
    with pytest.raises(ValueError, match="'wages_head' holds a value outside of its bounds"):
        private(records, bounds={**BOUNDS, "wages_head": (0, 10)}).fit(records, **fit)
    with pytest.raises(ValueError, match="does not account for what a prior has learned"):
        private(records).fit(records, prior=fitted, **fit)
    with pytest.raises(ValueError, match="does not account for factors"):
        private(records).fit(records, factors=np.ones(records.height), **fit)
    with pytest.raises(ValueError, match="no_copies_of would tell which records there are"):
        fitted.generate(records.select(CONDITIONS), 0, no_copies_of=records)
    for identity in (Sum(["wages_head"]), Between(0, 1)):
        with pytest.raises(ValueError, match="a privacy budget does not allow"):
            Synthesizer(
                TARGETS, CONDITIONS, identities={"social_security": identity},
                privacy=budget(records),
            )  # fmt: skip
    with pytest.raises(ValueError, match="no categories of 'filing_status'"):
        private(records, categories={}).fit(records, **fit)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epsilon": 0}, "greater than 0"),
        ({"delta": 0.5}, "delta 0.5 is too large"),
        ({"bounds": {"age": (3, 3)}}, "bounds of 'age' must increase"),
        ({"categories": {"sex": []}}, "categories of 'sex' must differ"),
        ({"categories": {"sex": ["f", "f"]}}, "categories of 'sex' must differ"),
        ({"categories": {"sex": ["f", 1]}}, "must be of one type"),
        ({"categories": {"weight": ["f"]}}, "both bounds and categories"),
        ({"budget": 3}, "Extra inputs"),
    ],
)
def test_an_impossible_budget_is_refused(records, changed, message):
    with pytest.raises(ValueError, match=message):
        budget(records, **changed)


def test_a_missing_opacus_is_named(records, monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus.grad_sample", None)
    monkeypatch.delitem(
        sys.modules, "microplex_pipeline.synthesis.privacy.private_training", False
    )
    with pytest.raises(ImportError, match=r"microplex-pipeline\[privacy\]"):
        private(records).fit(records, weight_col=None)


def test_categories_and_missing_values_are_modelled(records):
    has = pl.when(pl.col("social_security") > 0).then(pl.lit("some")).otherwise(pl.lit("none"))
    nulls = pl.when(pl.int_range(pl.len()) % 5 > 0).then("wages_head")
    data = records.with_columns(has=has, wages_head=nulls)
    fit = Synthesizer(
        ["has", "wages_head"], CONDITIONS, ["has"], missing={"wages_head": "class"},
        settings=QUICK, privacy=budget(data, categories={**STATUSES, "has": ["none", "some", "never"]}),
    ).fit(data, weight_col=None)  # fmt: skip
    drawn = fit.generate(data.select(CONDITIONS), 0)
    assert drawn["wages_head"].null_count() / data.height == pytest.approx(0.2, abs=0.1)
    assert (drawn["has"] == "some").mean() == pytest.approx(
        (data["has"] == "some").mean(), abs=0.1
    )
