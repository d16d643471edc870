"""Groups and their members: households and tax units."""

import itertools
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from microplex_pipeline import HierarchicalSynthesizer, HouseholdSchema, Reweighter, Targets
from microplex_pipeline.estimator import NotFittedError
from microplex_pipeline.synthesis import (
    Summary,
    TrainingSettings,
    draw_in_turn,
    summarized,
    with_earlier,
)

SCHEMA = HouseholdSchema(
    ["wages", "social_security", "ssi"],
    ["age_head", "filing_status"],
    ["state"],
    ["snap"],
    {"income": "sum:wages+social_security+ssi", "oldest": "max:age_head"},
    member_id="tax_unit_id",
)

BRIEF = TrainingSettings(epochs=10, min_steps=100)


@pytest.fixture(scope="module")
def households(rhode_island):
    """Households and tax units of Rhode Island."""
    records = rhode_island.with_columns(pl.col("filing_status").cast(pl.String))
    groups = records.group_by("household_id", maintain_order=True).agg(
        pl.col("state", "weight").first(), pl.col("snap").sum()
    )
    return groups, records.select(
        "household_id", "tax_unit_id", *SCHEMA.member_condition_vars, *SCHEMA.member_vars
    )


@pytest.fixture(scope="module")
def fitted(households):
    return HierarchicalSynthesizer(SCHEMA, settings=BRIEF, seed=1).fit(*households)


@pytest.fixture(scope="module")
def synthesized(households):
    model = HierarchicalSynthesizer(SCHEMA, skeleton="synthesized", settings=BRIEF, seed=1)
    return model.fit(*households)


def couples(n, seed=0):
    """Pairs of people of whom both work or neither does, and who share an allowance if they do not."""
    rng = np.random.default_rng(seed)
    works = rng.random(n) < 0.5
    wage = rng.integers(20_000, 60_000, n)
    groups = pl.DataFrame({"household_id": np.arange(n), "allowance": np.where(works, 0, 900)})
    people = pl.DataFrame(
        {
            "household_id": np.repeat(np.arange(n), 2),
            "person_id": np.arange(2 * n),
            "age": rng.integers(20, 60, 2 * n),
            "wage": np.repeat(np.where(works, wage, 0), 2)
            + np.tile([0, 1000], n) * np.repeat(works, 2),
        }
    )
    return groups, people


def both(members, column="wage"):
    """The two members' values, (n, 2)."""
    return members[column].to_numpy().reshape(-1, 2)


def test_groups_and_members_belong_together(fitted, synthesized, households):
    for model in (fitted, synthesized):
        groups, members = model.generate(300, seed=0)
        assert groups.columns == [
            "household_id", "n_members", "state", "weight", "snap", "income", "oldest",
        ]  # fmt: skip
        keys = ["household_id", "tax_unit_id"]
        assert members.columns == [*keys, *SCHEMA.member_condition_vars, *SCHEMA.member_vars]
        assert groups.height == 300
        assert groups["household_id"].to_list() == list(range(1, 301))
        assert members["tax_unit_id"].to_list() == list(range(1, members.height + 1))
        sizes = members.group_by("household_id", maintain_order=True).len()
        assert sizes["household_id"].to_list() == groups["household_id"].to_list()
        assert sizes["len"].to_list() == groups["n_members"].to_list()
        assert groups["weight"].sum() == pytest.approx(households[0]["weight"].sum())
        income = pl.sum_horizontal("wages", "social_security", "ssi").sum().alias("income")
        of_members = members.group_by("household_id", maintain_order=True).agg(
            income, pl.col("age_head").max().alias("oldest")
        )
        assert of_members["income"].to_list() == groups["income"].to_list()
        assert of_members["oldest"].to_list() == groups["oldest"].to_list()


def test_the_same_seed_gives_the_same_bytes(fitted, synthesized):
    for model in (fitted, synthesized):
        once, again, other = (model.generate(50, seed=s) for s in (3, 3, 4))
        assert once[0].equals(again[0])
        assert once[1].equals(again[1])
        assert not once[1].equals(other[1])
        assert not model.generate(50)[1].equals(model.generate(50)[1])


def test_members_know_those_before_them_and_the_group_knows_all():
    schema = HouseholdSchema(["wage"], ["age"], group_target_vars=["allowance"])
    model = HierarchicalSynthesizer(schema).fit(*couples(1500), None, epochs=40)
    groups, members = model.generate(1500, seed=0)
    first, second = both(members).T
    assert ((first > 0) == (second > 0)).mean() > 0.97
    working = (first > 0) & (second > 0)
    assert np.corrcoef(first[working], second[working])[0, 1] > 0.8
    assert ((groups["allowance"].to_numpy() > 0) == (first == 0)).mean() > 0.95
    # told nothing of each other, members are independent
    alone = HouseholdSchema(["wage"], ["age"], earlier_vars={})
    groups, people = couples(1500)
    model = HierarchicalSynthesizer(alone).fit(groups, people, None, epochs=40)
    first, second = both(model.generate(1500, seed=0)[1]).T
    assert ((first > 0) == (second > 0)).mean() < 0.6


def test_resampled_compositions_are_real_and_synthesized_ones_need_not_be(
    fitted, synthesized, households
):
    def kinds(members):
        of_each = members.with_columns(
            pl.format("{} {}", "age_head", "filing_status").alias("kind")
        )
        return of_each.group_by("household_id", maintain_order=True).agg(pl.col("kind"))["kind"]

    real = {tuple(k) for k in kinds(households[1])}
    drawn = fitted.generate(400, seed=0)[1]
    assert all(tuple(k) in real for k in kinds(drawn))
    groups, members = synthesized.generate(2000, seed=0)
    assert np.mean([tuple(k) in real for k in kinds(members)]) < 0.9
    # sizes and ages have the survey's distribution
    w = households[0]["weight"].to_numpy()
    of_survey = households[1].group_by("household_id", maintain_order=True).len()["len"].to_numpy()
    for size in (1, 2):
        share = np.average(of_survey == size, weights=w)
        assert (groups["n_members"] == size).mean() == pytest.approx(share, abs=0.04)
    ages = households[1].join(households[0], on="household_id", maintain_order="left")
    mean = np.average(ages["age_head"], weights=ages["weight"])
    assert members["age_head"].mean() == pytest.approx(mean, abs=2.5)


def test_given_compositions_are_kept(fitted, households):
    groups, members = households
    some = groups.head(40).drop("snap", "weight")
    people = members.filter(pl.col("household_id").is_in(some["household_id"].implode()))
    given = people.drop(SCHEMA.member_vars)
    drawn_groups, drawn = fitted.generate_for(some, given, seed=2)
    assert drawn.select(given.columns).equals(given)
    assert drawn_groups["household_id"].equals(some["household_id"])
    again = fitted.generate_for(some, given, seed=2)[1]
    assert again.equals(drawn)


@pytest.mark.parametrize("skeleton", ["resampled", "synthesized"])
def test_probabilities_of_all_groups_add_up_to_one(skeleton):
    rng = np.random.default_rng(1)
    sizes = rng.choice([1, 2], 400)
    groups = pl.DataFrame({"household_id": np.arange(400), "help": rng.random(400) < 0.3})
    n = int(sizes.sum())
    people = pl.DataFrame(
        {
            "household_id": np.repeat(np.arange(400), sizes),
            "person_id": np.arange(n),
            "kind": rng.choice(["a", "b"], n),
            "works": rng.random(n) < 0.6,
        }
    )
    schema = HouseholdSchema(
        ["works"], ["kind"], group_target_vars=["help"], discrete_vars=["works", "help"]
    )
    model = HierarchicalSynthesizer(schema, skeleton=skeleton).fit(groups, people, None, epochs=2)
    possible, rows = [], []
    for size in (1, 2):
        for kinds in itertools.product("ab", repeat=size):
            for works in itertools.product([False, True], repeat=size):
                for helped in (False, True):
                    number = len(possible)
                    possible.append({"household_id": number, "help": helped, "kinds": kinds})
                    rows += [
                        {
                            "household_id": number,
                            "person_id": 10 * number + k,
                            "kind": kinds[k],
                            "works": works[k],
                        }
                        for k in range(size)
                    ]
    of_groups = pl.DataFrame(possible)
    p = np.exp(model.log_prob(of_groups.drop("kinds"), pl.DataFrame(rows)))
    if skeleton == "synthesized":
        assert p.sum() == pytest.approx(1, abs=1e-5)
    else:  # given the composition
        totals = of_groups.with_columns(p=p).group_by("kinds").agg(pl.col("p").sum())
        assert totals["p"].to_list() == pytest.approx([1.0] * 6, abs=1e-5)


def test_saved_and_loaded_is_the_same_model(fitted, synthesized, households, tmp_path):
    synthesized.save(tmp_path / "synthesized")
    loaded = HierarchicalSynthesizer.load(tmp_path / "synthesized")
    assert loaded.schema == SCHEMA
    assert (loaded.seed, loaded.settings) == (synthesized.seed, synthesized.settings)
    for mine, theirs in zip(loaded.generate(60, 5), synthesized.generate(60, 5), strict=True):
        assert mine.equals(theirs)
    np.testing.assert_array_equal(loaded.log_prob(*households), synthesized.log_prob(*households))
    fitted.save(tmp_path / "resampled")
    loaded = HierarchicalSynthesizer.load(tmp_path / "resampled")
    with pytest.raises(NotFittedError, match="no records are stored"):
        loaded.generate(10)
    given = households[0].drop("snap"), households[1].drop(SCHEMA.member_vars)
    assert loaded.generate_for(*given, seed=1)[1].equals(fitted.generate_for(*given, seed=1)[1])
    with pytest.raises(FileExistsError, match="is not empty"):
        fitted.save(tmp_path / "resampled")


def test_a_damaged_folder_is_refused(synthesized, tmp_path):
    synthesized.save(tmp_path / "model")
    path = tmp_path / "model" / "schema.json"
    whole = json.loads(path.read_text())
    for change, message in (
        ({"skeleton": "other"}, "skeleton"),
        ({"total_weight": -1.0}, "total_weight"),
        ({"more": 1}, "more"),
        ({"schema": whole["schema"] | {"group_vars": ["wages"]}}, "more than once"),
        (
            {"schema": whole["schema"] | {"earlier_vars": {"a": "sum:wages"}}},
            "members.zip was fitted",
        ),
    ):
        path.write_text(json.dumps(whole | change))
        with pytest.raises(ValueError, match=message):
            HierarchicalSynthesizer.load(tmp_path / "model")
    path.write_text("{")
    with pytest.raises(ValueError, match=r"schema\.json is no schema"):
        HierarchicalSynthesizer.load(tmp_path / "model")


def test_frames_of_the_callers_kind_are_returned(households):
    groups, members = (f.to_pandas() for f in households)
    model = HierarchicalSynthesizer(SCHEMA).fit(groups, members, epochs=1)
    for frame in model.generate(20, seed=0):
        assert isinstance(frame, pd.DataFrame)
    assert model.is_fitted_


def test_weights_meet_targets_and_are_the_households(fitted):
    targets = Targets(
        pl.DataFrame(
            {
                "entity": ["record", "household"], "measure": ["sum", "count"],
                "variable": ["wages", "households"], "domain": ["all", "all"],
                "value": [2.5e10, 430_000.0],
            }
        )
    )  # fmt: skip
    groups, members = fitted.generate_and_reweight(800, targets, Reweighter(), seed=0)
    assert groups["weight"].sum() == pytest.approx(430_000)
    assert (members["weight"] * members["wages"]).sum() == pytest.approx(2.5e10)
    together = members.join(groups, on="household_id")
    assert (together["weight"] == together["weight_right"]).all()


def test_a_prior_of_the_nation_can_be_fine_tuned(fitted, households):
    groups, members = (f.filter(pl.col("household_id") % 3 == 0) for f in households)
    small = HierarchicalSynthesizer(SCHEMA).fit(groups, members, epochs=3, prior=fitted)
    assert small.generate(30, seed=0)[0].height == 30
    other = HierarchicalSynthesizer(
        HouseholdSchema(["wages"], ["age_head"], member_id="tax_unit_id")
    )
    with pytest.raises(ValueError, match="another schema"):
        other.fit(groups, members, prior=fitted)


def test_compositions_of_a_few_groups_are_learned_from_a_prior(fitted, synthesized, households):
    few, rest = (
        [f.filter((pl.col("household_id") % 20 == 0) == chosen) for f in households]
        for chosen in (True, False)
    )
    # both priors have the same model of members; the first has none of compositions
    alone, tuned = (
        HierarchicalSynthesizer(SCHEMA, skeleton="synthesized", settings=BRIEF)
        .fit(*few, prior=prior)
        .log_prob(*rest)
        for prior in (fitted, synthesized)
    )
    assert np.median(tuned) > np.median(alone) + 0.3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g, m: (g.head(-1), m), "1 values of 'household_id' in members are no group's"),
        (lambda g, m: (g, m.filter(pl.col("household_id") != g["household_id"][0])),
         "1 groups have no members"),
        (lambda g, m: (pl.concat([g, g.head(1)]), m), "occurs more than once in 1 groups"),
        (lambda g, m: (g, pl.concat([m, m.head(2)])), "occurs more than once in 2 members"),
        (lambda g, m: (g.drop("snap"), m), "missing columns: snap"),
        (lambda g, m: (g, m.drop("age_head")), "missing columns: age_head"),
        (lambda g, m: (g.drop("weight"), m), "no column of weights|missing columns: weight"),
        (lambda g, m: (g, m.with_columns(wages=pl.lit(None, pl.Int64))), "'wages' is missing in"),
        (lambda g, m: (g, m.with_columns(tax_unit_id=pl.lit(None, pl.Int64))), "'tax_unit_id' is missing"),
        (lambda g, m: (g.with_columns(weight=-pl.col("weight")), m), "negative"),
        (lambda g, m: (g, m.with_columns(household_id=pl.lit(None, pl.Int64))),
         "'household_id' is missing in .* members"),
        (lambda g, m: (g, m.with_columns(pl.col("household_id").cast(pl.String))),
         "'household_id' has type Int64 in groups and String in members"),
        (lambda g, m: (g, m.unique("household_id", maintain_order=True)), "no group has a second"),
        (lambda g, m: (g.head(0), m.head(0)), "there are no groups"),
    ],
)  # fmt: skip
def test_unusable_frames_are_named(households, change, message):
    with pytest.raises(ValueError, match=message):
        HierarchicalSynthesizer(SCHEMA).fit(*change(*households), epochs=1)


def test_a_composition_never_seen_is_named(fitted, households):
    groups, members = households
    some = members.head(1).with_columns(filing_status=pl.lit("9")).drop(SCHEMA.member_vars)
    of_it = groups.filter(pl.col("household_id") == some["household_id"][0])
    with pytest.raises(ValueError, match="'filing_status' has categories that did not occur"):
        fitted.generate_for(of_it, some)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"member_vars": []}, "names no column"),
        ({"member_vars": "wage"}, "must be a list"),
        ({"member_vars": ["wage", "age"]}, "more than once.*: age"),
        ({"group_vars": ["n_members"]}, "reserved.*n_members"),
        ({"discrete_vars": ["age"]}, "not drawn: age"),
        ({"derived_vars": {"income": "wage"}}, "written as 'sum:column'"),
        ({"derived_vars": {"income": "mean:wage"}}, "takes one of sum, count"),
        ({"derived_vars": {"income": "sum:wgae"}}, "income summarizes wgae"),
        ({"earlier_vars": {"before": "sum:region"}}, "before summarizes region"),
    ],
)
def test_impossible_schemas_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HouseholdSchema(**{"member_vars": ["wage"], "member_condition_vars": ["age"], **options})


def test_what_is_not_possible_is_said(fitted):
    unfitted = HierarchicalSynthesizer(SCHEMA)
    for use in (lambda: unfitted.generate(5), lambda: unfitted.save("nowhere")):
        with pytest.raises(NotFittedError, match="call fit first"):
            use()
    with pytest.raises(ValueError, match="n_groups must be a whole number of at least 1"):
        fitted.generate(0)
    with pytest.raises(ValueError, match="n_groups must be a whole number of at least 1, not '5'"):
        fitted.generate("5")
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, not -1"):
        fitted.generate(5, seed=-1)
    with pytest.raises(ValueError, match="skeleton must be one of"):
        HierarchicalSynthesizer(SCHEMA, skeleton="real")


def test_summaries_are_those_of_a_loop():
    members = pl.DataFrame(
        {"g": [1, 1, 1, 2, 3, 3], "x": [5, 0, 7, 4, -2, 3], "k": list("abcdef")}
    )
    takes = {
        take: Summary(take, ("x",)) for take in ("sum", "count", "max", "min", "first", "last")
    }
    takes["kind"] = Summary.parse("last:k")
    earlier, whole = with_earlier(members, takes, "g"), summarized(members, takes, "g")
    by_hand = {
        "sum": sum, "count": lambda v: sum(x != 0 for x in v), "max": max, "min": min,
        "first": lambda v: v[0], "last": lambda v: v[-1],
    }  # fmt: skip
    for place, group in enumerate((1, 2, 3)):
        rows = members.filter(g=group)
        for take, of in by_hand.items():
            x = rows["x"].to_list()
            expected = [None, *(of(x[:k]) for k in range(1, len(x)))]
            assert earlier.filter(g=group)[take].to_list() == expected
            assert whole[take][place] == of(x)
        assert earlier.filter(g=group)["kind"].to_list() == [None, *rows["k"].to_list()[:-1]]


def test_members_are_drawn_in_turn_and_stay_in_order():
    members = pl.DataFrame({"g": [2, 1, 1, 2, 2, 3]})
    turns = []

    def draw(turn, seed):
        turns.append((turn["g"].to_list(), turn["before"].to_list(), seed))
        return turn.with_columns(x=pl.col("before").fill_null(0).cast(pl.Int64) + 1)

    told = {"before": Summary("sum", ("x",))}
    drawn = draw_in_turn(members, told, "g", draw, lambda place: 10 + place)
    assert turns == [([2, 1, 3], [None] * 3, 10), ([1, 2], [1, 1], 11), ([2], [3], 12)]
    assert drawn.rows() == [(2, 1), (1, 1), (1, 2), (2, 2), (2, 4), (3, 1)]


def test_a_fit_that_fails_leaves_the_synthesizer_as_it_was(households):
    groups, members = households
    broken = groups.with_columns(snap=pl.lit(None, pl.Int64))
    model = HierarchicalSynthesizer(SCHEMA, settings=BRIEF)
    with pytest.raises(ValueError, match="'snap' is missing in"):
        model.fit(broken, members, epochs=1)
    assert not model.is_fitted_


def test_given_groups_keep_order_weight_and_kind(fitted, households):
    groups, members = households
    few = groups.head(40).reverse().drop("snap").with_columns(weight=pl.lit(7.0))
    own = members.filter(pl.col("household_id").is_in(few["household_id"].implode()))
    own = own.drop(SCHEMA.member_vars)
    drawn, of_drawn = fitted.generate_for(few, own, seed=0)
    assert drawn["household_id"].equals(few["household_id"])
    assert (drawn["weight"] == 7).all()
    assert of_drawn["tax_unit_id"].equals(own["tax_unit_id"])
    frames = fitted.generate_for(few.to_pandas(), own.to_pandas(), seed=0)
    assert all(isinstance(frame, pd.DataFrame) for frame in frames)
    assert frames[0]["income"].tolist() == drawn["income"].to_list()


def test_groups_without_members_are_not_reweighted(fitted):
    groups, members = fitted.generate(50, seed=0)
    with pytest.raises(ValueError, match="groups have no members"):
        fitted.reweight(groups, members.filter(pl.col("household_id") > 5), None, Reweighter())
    with pytest.raises(NotFittedError):
        HierarchicalSynthesizer(SCHEMA).reweight(groups, members, None, Reweighter())


def test_a_number_instead_of_a_category_is_refused(fitted, households):
    groups, members = households
    with pytest.raises(ValueError, match="filing_status"):
        fitted.log_prob(groups, members.with_columns(filing_status=pl.lit(1)))
