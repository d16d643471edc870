"""A synthesizer's parameters, copies and repr, after scikit-learn's conventions."""

import numpy as np
import polars as pl
import pytest
import sklearn.base

from microplex_pipeline import Synthesizer
from microplex_pipeline.estimator import NotFittedError
from microplex_pipeline.synthesis import Between, TrainingSettings

PARAMETERS = {
    "target_vars": ["pension", "taxed", "tenure"],
    "condition_vars": ["age", "married"],
    "discrete_vars": ["tenure"],
    "only_where": {"pension": ("married", "yes"), "taxed": "pension"},
    "missing": {"tenure": "at_random"},
    "identities": {"pension": Between(0, 20_000)},
    "atom_holders": 5,
    "max_knots": 40,
    "tail_factor": 1.5,
    "settings": TrainingSettings(hidden=16, min_steps=5),
    "n_layers": None,
    "hidden_dim": None,
    "privacy": None,
    "seed": 3,
}


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    n = 200
    married = rng.choice(["yes", "no"], n)
    pension = np.where(married == "yes", rng.integers(0, 3, n) * 5000, 0)
    return pl.DataFrame(
        {
            "age": rng.integers(20, 80, n),
            "married": married,
            "pension": pension,
            "taxed": np.where(pension > 0, rng.integers(0, 2, n) * 1000, 0),
            "tenure": rng.choice(["own", "rent"], n),
        }
    )


@pytest.fixture(scope="module")
def fitted(people):
    return Synthesizer(**PARAMETERS).fit(people, None, epochs=1)


def loaded(synthesizer, folder):
    synthesizer.save(folder / "model")
    return Synthesizer.load(folder / "model")


def recomposed(synthesizer, folder):
    del folder
    parts = (synthesizer.transformer_, synthesizer.zero_model_, synthesizer.flow_model_)
    return Synthesizer.from_parts(*parts)


def test_parameters_come_back_as_they_were_given():
    synthesizer = Synthesizer(**PARAMETERS)
    assert synthesizer.get_params() == PARAMETERS
    assert Synthesizer(**synthesizer.get_params()).get_params() == PARAMETERS


@pytest.mark.parametrize("copy", [Synthesizer.clone, sklearn.base.clone], ids=["own", "sklearn"])
def test_a_clone_has_the_parameters_but_not_the_fit(fitted, copy):
    clone = copy(fitted)
    assert type(clone) is Synthesizer
    assert clone.get_params() == PARAMETERS
    assert fitted.is_fitted_
    assert not clone.is_fitted_


@pytest.mark.parametrize("copy", [Synthesizer.clone, sklearn.base.clone], ids=["own", "sklearn"])
def test_a_loaded_synthesizer_is_cloned_and_refitted_to_the_same_model(
    fitted, people, tmp_path, copy
):
    again = loaded(fitted, tmp_path)
    stored = set(PARAMETERS) - {"settings"}
    assert {k: again.get_params()[k] for k in stored} == {k: PARAMETERS[k] for k in stored}
    assert again.settings == PARAMETERS["settings"]
    refitted = copy(again).fit(people, None, epochs=1)
    assert refitted.generate(people, seed=0).equals(fitted.generate(people, seed=0))


def test_a_recomposed_synthesizer_accepts_its_rules_again(fitted, people, tmp_path):
    again = recomposed(fitted, tmp_path)
    assert again.only_where == PARAMETERS["only_where"]
    assert sklearn.base.clone(again).only_where == PARAMETERS["only_where"]
    again.set_params(only_where=again.only_where, seed=3)
    assert again.generate(people, seed=0).equals(fitted.generate(people, seed=0))


def test_set_params_takes_effect_at_the_next_fit(people):
    synthesizer = Synthesizer(["pension"], ["age"], settings=TrainingSettings(min_steps=5))
    before = synthesizer.fit(people, None, epochs=1).generate(people, seed=0)
    assert synthesizer.set_params(target_vars=["taxed"], condition_vars=["married"]) is synthesizer
    assert synthesizer.generate(people, seed=0).equals(before)
    drawn = synthesizer.fit(people, None, epochs=1).generate(people.select("married"), seed=0)
    assert drawn.columns == ["married", "taxed"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 9, "tail": 2}, "Synthesizer has no parameter tail; it has target_vars,"),
        ({"seed": 9, "tail_factor": 0.5}, "tail_factor must lie between 1 and"),
        ({"seed": 9, "target_vars": ["age"]}, "named more than once .*: age"),
        ({"seed": 9, "only_where": {"taxed": 5}}, "rule of 'taxed' must be an earlier target or"),
    ],
)
def test_impossible_parameters_are_named_and_change_nothing(changes, message):
    synthesizer = Synthesizer(**PARAMETERS)
    with pytest.raises(ValueError, match=message):
        synthesizer.set_params(**changes)
    assert synthesizer.get_params() == PARAMETERS


@pytest.mark.parametrize(
    "use",
    [
        lambda s, people, folder: s.generate(people),
        lambda s, people, folder: s.implicates(people, 2),
        lambda s, people, folder: s.log_prob(people),
        lambda s, people, folder: s.save(folder / "model"),
        lambda s, people, folder: Synthesizer(**PARAMETERS).fit(people, None, prior=s),
    ],
    ids=["generate", "implicates", "log_prob", "save", "prior"],
)
def test_an_unfitted_synthesizer_cannot_be_used(people, tmp_path, use):
    with pytest.raises(NotFittedError, match="not fitted: call fit first"):
        use(Synthesizer(**PARAMETERS), people, tmp_path)


def test_the_repr_shows_what_was_changed():
    assert (
        repr(Synthesizer(["x"], ["c"])) == "Synthesizer(target_vars=['x'], condition_vars=['c'])"
    )
    changed = Synthesizer(["x"], ["c"], seed=1, settings=TrainingSettings(epochs=5))
    assert repr(changed) == (
        "Synthesizer(target_vars=['x'], condition_vars=['c'], settings=TrainingSettings(epochs=5), "
        "seed=1)"
    )


@pytest.mark.parametrize(
    "copy", [None, loaded, recomposed], ids=["fitted", "loaded", "recomposed"]
)
def test_the_repr_of_a_fit_shows_its_parts(fitted, tmp_path, copy):
    shown = fitted if copy is None else copy(fitted, tmp_path)
    header, counts, *parts = repr(shown).splitlines()
    assert header.startswith("Synthesizer(target_vars=['pension', 'taxed', 'tenure'], ")
    records = ", fitted on 200 records" if copy is None else ""  # a file keeps no such number
    assert counts == f"  targets: 3, conditions: 2{records}"
    assert parts == [
        f"  (transformer): {fitted.transformer_!r}",
        f"  (zero_model): {fitted.zero_model_!r}",
        f"  (flow): {fitted.flow_model_!r}",
    ]


def test_the_reprs_of_the_parts_give_sizes_and_losses(fitted):
    assert repr(fitted.transformer_) == (
        "Transformer(amounts=2, categories=1, conditions=2, structural_zeros=2)"
    )
    zero_model, flow = fitted.zero_model_, fitted.flow_model_
    size = sum(array.size for array in zero_model.parameters.values())
    loss = min(row["validation_loss"] for row in zero_model.history)
    assert repr(zero_model).startswith("ZeroModel(targets=3, classes=6, context=")
    assert f"layers=2, hidden=94, parameters={size}, held_out_loss={loss:.4f})" in repr(zero_model)
    assert repr(flow).startswith(f"Flow(densities={len(flow.inputs)}, layers=2, hidden=64, ")


def test_a_prior_may_list_its_categories_in_another_order(people):
    settings = TrainingSettings(min_steps=5)
    variables = (["tenure", "married"], ["age"])
    prior = Synthesizer(*variables, ["married", "tenure"], settings=settings)
    prior.fit(people, None, epochs=1)
    small = Synthesizer(*variables, ["tenure", "married"]).fit(people, None, epochs=1, prior=prior)
    assert small.is_fitted_


def test_a_named_column_of_weights_must_exist(people):
    with pytest.raises(ValueError, match=r"no column of weights 'w': .* None for equal"):
        Synthesizer(["pension"], ["age"]).fit(people, "w")


def test_none_means_equal_weights_even_if_there_is_a_column_weight(people):
    settings = TrainingSettings(min_steps=5)
    heavy = people.with_columns(weight=pl.when(pl.col("pension") > 0).then(9.0).otherwise(1.0))
    ones = people.with_columns(weight=pl.lit(2.0))

    def drawn(frame, *weight_col):
        synthesizer = Synthesizer(["pension"], ["age"], settings=settings)
        fitted = synthesizer.fit(frame, *weight_col, epochs=1)
        return fitted.generate(people.select("age"), seed=0)

    with pytest.warns(UserWarning, match="column 'weight' is not used"):
        unweighted = drawn(heavy, None)
    assert unweighted.equals(drawn(people, None))
    assert unweighted.equals(drawn(people))
    assert drawn(ones).equals(unweighted)
    assert not drawn(heavy).equals(unweighted)
