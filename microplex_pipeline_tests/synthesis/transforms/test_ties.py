"""Amounts that often equal an earlier amount, a multiple of it or a sum of two."""

import json
import zipfile

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import Synthesizer
from microplex_pipeline.synthesis import TrainingSettings
from microplex_pipeline.synthesis.transforms.ties import Tie, find_ties

BRIEF = TrainingSettings(epochs=10, min_steps=100)


def related(n, seed=0):
    """Amounts of which b equals a, c is .35 a and d is a + b in some records; e is only heaped alike."""
    rng = np.random.default_rng(seed)
    heaped = lambda: rng.integers(1, 400, n) * 250.0  # noqa: E731
    a, b, c, d, e = (heaped() for _ in range(5))
    a[rng.random(n) < 0.2] = 0
    b = np.where((rng.random(n) < 0.10) & (a > 0), a, b)
    c = np.where((rng.random(n) < 0.2) & (a > 0), np.round(0.35 * a), c)
    d = np.where((rng.random(n) < 0.15) & (a > 0), a + b, d)
    return {"a": a, "b": b, "c": c, "d": d, "e": e}


def test_relations_are_found_and_coincidences_are_not():
    amounts = related(20_000)
    found = find_ties(amounts, dict.fromkeys(amounts, 1.0))
    assert found == {
        "b": (Tie(("a",), 1.0),),
        "c": (Tie(("a",), 0.35),),
        "d": (Tie(("a", "b"), 1.0),),
    }


def test_two_amounts_that_many_have_are_no_relation():
    rng = np.random.default_rng(0)
    benefit = np.where(rng.random(5000) < 0.5, 300.0, rng.integers(1, 9, 5000) * 100.0)
    other = np.where(rng.random(5000) < 0.5, 150.0, rng.integers(1, 9, 5000) * 77.0)
    assert find_ties({"a": benefit, "b": other}, {"a": 1.0, "b": 1.0}) == {}


@pytest.fixture(scope="module")
def fitted():
    frame = (
        pl.DataFrame(related(6000)).cast(pl.Int64).with_columns(age=pl.int_range(pl.len()) % 40)
    )
    model = Synthesizer(["a", "b", "c", "d", "e"], ["age"], settings=BRIEF, seed=0)
    return model.fit(frame, None), frame


def test_relations_keep_their_share(fitted):
    model, frame = fitted
    drawn = model.generate(frame.select("age"), seed=1)
    both = pl.col("a") > 0
    for relation, tolerance in (
        (pl.col("b") == pl.col("a"), 0.01),
        (pl.col("c") == (0.35 * pl.col("a")).round(), 0.012),
        (pl.col("d") == pl.col("a") + pl.col("b"), 0.012),
        (pl.col("e") == pl.col("a"), 0.004),  # by chance
    ):
        shares = [f.filter(both).select(relation.mean()).item() for f in (frame, drawn)]
        assert shares[1] == pytest.approx(shares[0], abs=tolerance)
    # the relations' records are like the others
    assert drawn["b"].mean() == pytest.approx(frame["b"].mean(), rel=0.03)


def test_relations_of_the_survey_are_those_of_couples_and_of_its_source(data, schema):
    units = pl.read_parquet(data / schema.file).filter(state="CA", year=2014)
    names = schema.target_columns
    amounts = {name: units[name].cast(pl.Float64).to_numpy() for name in names}
    assert find_ties(amounts, dict.fromkeys(names, 1.0)) == {
        "wages_spouse": (Tie(("wages_head",), 1.0),),
        # the source's formulas: what is fully taxable, and fixed shares
        "pensions_taxable": (Tie(("pensions_total",), 1.0),),
        "tax_exempt_interest": (Tie(("taxable_interest",), 2.9252),),
        "qualified_dividends": (Tie(("ordinary_dividends",), 0.6518),),
    }


def test_probabilities_of_tied_and_other_amounts_add_up_to_one():
    rng = np.random.default_rng(2)
    a = rng.integers(0, 24, 3000)
    b = np.where((rng.random(3000) < 0.3) & (a > 0), a, rng.integers(0, 24, 3000))
    frame = pl.DataFrame({"a": a, "b": b, "age": a % 2})
    model = Synthesizer(["a", "b"], ["age"], settings=BRIEF, seed=0).fit(frame, None, epochs=3)
    assert model.transformer_.transformers_["b"].ties == (Tie(("a",), 1.0),)
    every = pl.DataFrame({"b": range(50)})
    grid = pl.DataFrame({"a": range(50)}).join(every, how="cross").with_columns(age=pl.lit(1))
    p = np.exp(model.log_prob(grid))
    assert p.sum() == pytest.approx(1, abs=1e-3)
    tied = grid.select((pl.col("a") == pl.col("b")) & (pl.col("a") > 0)).to_series().to_numpy()
    share = frame.select(((pl.col("a") == pl.col("b")) & (pl.col("a") > 0)).mean()).item()
    assert p[tied].sum() == pytest.approx(share, abs=0.03)


def test_a_saved_model_keeps_its_ties(fitted, tmp_path):
    model, frame = fitted
    model.save(tmp_path / "model.zip")
    loaded = Synthesizer.load(tmp_path / "model.zip")
    conditions = frame.select("age").head(500)
    assert loaded.generate(conditions, 3).equals(model.generate(conditions, 3))
    np.testing.assert_array_equal(loaded.log_prob(frame), model.log_prob(frame))


@pytest.mark.parametrize(
    ("sources", "factor", "message"),
    [
        (["e"], 1.0, "no earlier amount"),
        (["b"], 1.0, "no earlier amount"),
        (["a", "a", "a"], 1.0, "sources"),
        (["a"], -1.0, "factor"),
        (["a"], 1e300, "factor"),
    ],
)
def test_a_forged_tie_is_refused(fitted, tmp_path, sources, factor, message):
    fitted[0].save(tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    stored = json.loads(entries["transformer.json"])
    target = next(t for t in stored["targets"] if t["name"] == "b")
    target["ties"] = [{"sources": sources, "factor": factor}]
    entries["transformer.json"] = json.dumps(stored).encode()
    with zipfile.ZipFile(tmp_path / "forged.zip", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=message):
        Synthesizer.load(tmp_path / "forged.zip")


def test_a_small_area_keeps_the_relations_of_its_prior(fitted):
    model, frame = fitted
    small = Synthesizer(["a", "b", "c", "d", "e"], ["age"], seed=1)
    small.fit(frame.head(200), None, epochs=2, prior=model)
    ties = {n: t.ties for n, t in small.transformer_.transformers_.items()}
    assert ties == {n: t.ties for n, t in model.transformer_.transformers_.items()}
    drawn = small.generate(frame.select("age"), seed=1).filter(pl.col("a") > 0)
    share = (
        frame.head(200).filter(pl.col("a") > 0).select((pl.col("b") == pl.col("a")).mean()).item()
    )
    assert drawn.select((pl.col("b") == pl.col("a")).mean()).item() == pytest.approx(
        share, abs=0.05
    )
