"""Identities hold in every row, and what is free is modelled."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import Synthesizer
from microplex_pipeline.synthesis import Between, PartOf, Product, Sum

TARGETS = ["income", "expenditure", "savings", "dividends", "qualified", "hours", "wage", "pay"]
IDENTITIES = {
    "savings": Sum("income", minus="expenditure"),
    "qualified": PartOf("dividends"),
    "hours": Between(1, 60),
    "wage": Between(high=99.5),
    "pay": Product(["hours", "wage"]),
}


@pytest.fixture(scope="module")
def people() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    n = 1_500
    income = np.where(rng.random(n) < 0.8, rng.lognormal(10, 1, n), 0).round(-1)
    expenditure = (rng.lognormal(9.7, 0.5, n) + 0.3 * income).round(2)
    dividends = np.where(rng.random(n) < 0.3, rng.lognormal(6, 1, n), 0).round()
    share = rng.choice([0.0, 1.0, 0.5], n, p=[0.2, 0.5, 0.3]) * rng.choice([1, rng.random()], n)
    hours = rng.choice([10, 20, 40, 60], n)
    wage = rng.uniform(8, 99.5, n).round(1)
    return pl.DataFrame(
        {
            "age": rng.integers(20, 80, n),
            "income": income.astype(int),
            "expenditure": expenditure,
            "savings": (income - expenditure).round(2),
            "dividends": dividends.astype(int),
            "qualified": np.floor(share * dividends).astype(int),
            "hours": hours,
            "wage": wage,
            "pay": (hours * wage).round(1),
            "weight": 1.0,
        }
    )


@pytest.fixture(scope="module")
def synthesizer(people) -> Synthesizer:
    return Synthesizer(TARGETS, ["age"], identities=IDENTITIES, seed=0).fit(people, epochs=15)


@pytest.fixture(scope="module")
def drawn(people, synthesizer) -> pl.DataFrame:
    return synthesizer.generate(pl.concat([people.select("age")] * 4), seed=0)


def gaps(frame: pl.DataFrame) -> dict[str, float]:
    """Return by how much each identity is missed in the worst row."""
    return {
        "savings": (frame["savings"] - (frame["income"] - frame["expenditure"])).abs().max(),
        "pay": (frame["pay"] - frame["hours"] * frame["wage"]).abs().max(),
        "above the whole": (frame["qualified"] - frame["dividends"]).clip(lower_bound=0).max(),
        "below nothing": -min(frame["qualified"].min(), 0),
        "hours": max(frame["hours"].max() - 60, 1 - frame["hours"].min(), 0),
        "wage": max(frame["wage"].max() - 99.5, 0),
    }


def test_identities_hold_in_every_row(people, drawn):
    assert drawn.columns == ["age", *TARGETS]
    assert {k: v for k, v in gaps(drawn).items() if v > 1e-6} == {}
    same = people.with_columns(pl.col("pay").cast(pl.Int64))  # all are whole numbers
    assert drawn.select(TARGETS).schema == same.select(TARGETS).schema


def test_the_free_part_is_modelled(people, drawn):
    """Means within 4 standard errors; savings are negative as often; most parts are the whole or none."""
    for name in TARGETS:
        error = people[name].std() / np.sqrt(people.height)
        assert drawn[name].mean() == pytest.approx(people[name].mean(), abs=4 * error), name
    assert (drawn["savings"] < 0).mean() == pytest.approx((people["savings"] < 0).mean(), abs=0.05)
    for frame in (people, drawn):
        some = frame.filter(pl.col("dividends") > 0)
        assert (some["qualified"] == some["dividends"]).mean() == pytest.approx(0.25, abs=0.06)


def test_without_the_identity_savings_miss(people):
    """What the identity mends: drawn apart, savings differ from income - expenditure by thousands."""
    apart = Synthesizer(TARGETS[:3], ["age"], seed=0).fit(people, epochs=15)
    drawn = apart.generate(people.select("age"), seed=0)
    gap = (drawn["savings"] - (drawn["income"] - drawn["expenditure"])).abs()
    assert gap.max() > 1_000


def test_the_likelihood_is_that_of_the_free_part(people, synthesizer):
    """A computed target adds nothing, and a record that breaks an identity is impossible."""
    nats = synthesizer.log_prob(people)
    assert np.isfinite(nats).mean() > 0.99
    wrong = people.with_columns(savings=pl.col("savings") + 1)
    assert np.isneginf(synthesizer.log_prob(wrong)).all()
    free = [name for name in TARGETS if name not in ("savings", "pay")]
    kept = {name: rule for name, rule in IDENTITIES.items() if name in free}
    alone = Synthesizer(free, ["age"], identities=kept, seed=0).fit(people, epochs=15)
    assert alone.log_prob(people) == pytest.approx(nats)


def test_what_follows_from_identities_is_not_drawn(people, synthesizer):
    incomplete = people[:300].with_columns(
        expenditure=pl.when(pl.int_range(pl.len()) % 2 > 0).then("expenditure"),
        pay=pl.lit(None, pl.Float64),
        qualified=pl.when(pl.int_range(pl.len()) % 3 > 0).then("qualified"),
    )
    filled = synthesizer.impute(incomplete, seed=0, particles=4)
    assert filled["expenditure"].to_list() == pytest.approx(people["expenditure"][:300].to_list())
    assert filled["pay"].to_list() == pytest.approx(people["pay"][:300].to_list())
    assert {k: v for k, v in gaps(filled).items() if v > 1e-6} == {}
    known = incomplete["qualified"].is_not_null()
    assert filled.filter(known)["qualified"].equals(incomplete.filter(known)["qualified"])


def test_drawn_operands_keep_the_identity(people, synthesizer):
    incomplete = people[:200].with_columns(
        pl.lit(None).cast(people.schema[name]).alias(name)
        for name in ("income", "savings", "hours", "pay")
    )
    filled = synthesizer.impute(incomplete, seed=0, particles=4)
    assert filled["expenditure"].equals(people["expenditure"][:200])
    assert {k: v for k, v in gaps(filled).items() if v > 1e-6} == {}


def test_a_stored_synthesizer_keeps_its_identities(people, synthesizer, drawn, tmp_path):
    synthesizer.save(tmp_path / "model.zip")
    loaded = Synthesizer.load(tmp_path / "model.zip")
    assert loaded.identities == IDENTITIES
    assert loaded.generate(pl.concat([people.select("age")] * 4), seed=0).equals(drawn)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"savings": pl.col("savings") + 1},
            "savings = income - expenditure does not hold in 1500 of 1500",
        ),
        (
            {"qualified": pl.col("dividends") + 1},
            "'qualified' is part of 'dividends' does not hold",
        ),
        ({"hours": pl.lit(61)}, "'hours' lies between 1 and 60 does not hold in 1500"),
        (
            {"pay": pl.lit(0.0)},
            r"pay = hours \* wage does not hold .*first: row 0, where pay is 0",
        ),
    ],
)
def test_contradictions_are_refused_at_fit(people, change, message):
    synthesizer = Synthesizer(TARGETS, ["age"], identities=IDENTITIES)
    with pytest.raises(ValueError, match=message):
        synthesizer.fit(people.with_columns(**change), epochs=1)


@pytest.mark.parametrize(
    ("identities", "options", "message"),
    [
        ({"rent": Sum("income")}, {}, "'rent' is not an amount among the targets"),
        ({"savings": Sum("rent")}, {}, "names rent, which is no amount"),
        ({"savings": "income - expenditure"}, {}, "must be a Sum, Product, PartOf or Between"),
        ({"savings": Sum("income"), "income": Sum("savings")}, {}, "depend on each other"),
        (
            {"savings": Sum("income")},
            {"only_where": {"savings": "income"}},
            "only_where cannot name it",
        ),
        (
            {"savings": Sum("income")},
            {"missing": {"savings": "at_random"}},
            "missing cannot name it",
        ),
    ],
)
def test_impossible_identities_are_refused(identities, options, message):
    with pytest.raises(ValueError, match=message):
        Synthesizer(TARGETS, ["age"], identities=identities, **options)


def test_impossible_operands_are_refused():
    with pytest.raises(ValueError, match="lower bound 3 is above"):
        Between(3, 2)
    with pytest.raises(ValueError, match="at least two columns"):
        Product("hours")
    with pytest.raises(ValueError, match="at least one column"):
        Sum(())
    with pytest.raises(ValueError, match="a lower or an upper"):
        Between()


def test_a_known_total_of_several_unknown_amounts_is_refused(people, synthesizer):
    unknown = people[:5].with_columns(
        income=pl.lit(None, pl.Int64), expenditure=pl.lit(None, pl.Float64)
    )
    with pytest.raises(
        ValueError, match="'savings' is known in 5 rows in which income and expend"
    ):
        synthesizer.impute(unknown)
    with pytest.raises(ValueError, match="savings = income - expenditure does not hold in 5 rows"):
        synthesizer.impute(people[:5].with_columns(savings=pl.lit(1.0)))


@pytest.mark.parametrize("sign", [1, -1])
def test_bounds_between_two_whole_numbers_hold(sign):
    hours = np.random.default_rng(0).integers(30, 60, 1_000)
    data = pl.DataFrame({"x": [1] * 1_000, "hours": sign * hours})
    bounds = Between(29.5, 60) if sign > 0 else Between(-60, -29.5)
    model = Synthesizer(["hours"], ["x"], atom_holders=500, identities={"hours": bounds})
    drawn = model.fit(data, None, epochs=5).generate(pl.concat([data] * 20), seed=0)["hours"]
    assert drawn.abs().min() == 30


def test_a_negative_whole_has_no_parts(people):
    model = Synthesizer(["part"], ["whole"], identities={"part": PartOf("whole")})
    data = people.select(whole="income", part=(pl.col("income") / 2).floor())
    model.fit(data, None, epochs=1)
    with pytest.raises(ValueError, match="'whole' is negative in 2 rows"):
        model.generate(pl.DataFrame({"whole": [-5, 100, -1]}), seed=0)


def test_an_identity_does_not_compute_with_text(people):
    model = Synthesizer(["part"], ["whole"], identities={"part": PartOf("whole")})
    data = people.select(whole=pl.lit("much"), part="income")
    with pytest.raises(ValueError, match="an identity computes with 'whole', which has type Str"):
        model.fit(data, None, epochs=1)
