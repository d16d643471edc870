"""Damaged and forged models: a result, or one ValueError of one line. The long form is a benchmark."""

import json

import numpy as np
import polars as pl
import pytest
import safetensors.numpy

from benchmarks.model_mutations import MEGABYTES, outcome, outcomes
from benchmarks.mutated_models import ROWS, Case, archive, case, records, stored_model
from microplex_pipeline.synthesis import Flow, Prior, Synthesizer, Transformer, ZeroModel

MUTATIONS = 120


@pytest.fixture(scope="module")
def stored():
    return stored_model()


@pytest.fixture(scope="module")
def conditions():
    return records(ROWS, seed=1)


def test_mutations_give_a_result_or_one_line(stored, conditions, tmp_path):
    cases = [case(stored, seed=11, index=index) for index in range(MUTATIONS)]
    found = {each.name: outcome(each, tmp_path, conditions) for each in cases}
    assert not {name: o.message for name, o in found.items() if o.kind == "failure"}
    assert {o.kind for o in found.values()} == {"result", "refusal"}
    assert max(o.seconds for o in found.values()) < 5


def test_the_benchmark_measures_in_a_child_process(stored):
    found = outcomes(stored, seed=3, n=5)
    assert not [o.message for o in found if o.kind == "failure"]
    assert max(o.megabytes for o in found) < MEGABYTES


def test_the_unmutated_model_gives_a_result(stored, conditions, tmp_path):
    items = list(stored.entries.items())
    for valid in (Case("file", archive(items), None), Case("prior", None, stored.prior)):
        assert outcome(valid, tmp_path, conditions).kind == "result"


def part(stored, kind):
    text = stored.entries[f"{kind.kind}.json"].decode()
    return json.loads(text), safetensors.numpy.load(stored.entries[f"{kind.kind}.safetensors"])


def read(kind, content, arrays):
    return kind.from_data(json.dumps(content), safetensors.numpy.save(arrays))


def changed(content, *path, to):
    *way, last = path
    for key in way:
        content = content[key]
    content[last] = to


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["conditions", 0, "deviation"], float("nan"), "NaN is not a finite number"),
        (["conditions", 0, "deviation"], 0.0, r"conditions\.0\.deviation: .* greater than"),
        (["conditions", 0, "mean"], 10**400, r"conditions\.0\.mean"),
        (["conditions", 0, "edges"], [3.0, 2.0, 1.0], "should increase"),
        (["conditions", 0, "edges"], [], "either categories or edges"),
        (["conditions", 1, "categories"], [0, "1", 2], "needs numbers"),
        (["conditions", 2, "categories"], ["west", "east"], "should increase"),
        (["conditions", 2, "name"], "\ud800", "half a character"),
        (["conditions", 0, "name"], "kids", "named more than once"),
        (["conditions"], [], "at least one target and one condition"),
        (["targets", 0, "categories"], ["a", 1], "texts, whole numbers or truth values"),
        (["targets", 0, "categories"], ["a", "a"], "twice"),
        (["targets", 1, "resolution"], 0.3, "not a power of ten"),
        (["targets", 1, "resolution"], 1e15, "amounts beyond 64 bits"),
        (["targets", 1, "signs"], [1, 0], "should increase"),
        (["targets", 1, "signs"], [0, True], r"signs\.1"),
        (["targets", 1, "signs"], [-1, 0, 1], "wage/-1/bound.* missing"),
        (["targets", 1, "signs"], [0], "not expected"),
        (["targets", 1, "type"], "number", "does not match"),
        (["only_where", "gain"], ["cents", None], "comes before it"),
        (["only_where", "gain"], ["kids", "x"], "is never 'x'"),
        (["only_where", "cents"], ["wage", None], "'cents' is never zero"),
        (["more"], 1, "more: unknown key"),
    ],
)
def test_a_transformer_that_cannot_be_is_refused(stored, path, value, message):
    content, arrays = part(stored, Transformer)
    changed(content, *path, to=value)
    with pytest.raises(ValueError, match=rf"^the stored transformer is damaged \(.*{message}"):
        read(Transformer, content, arrays)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("x", lambda x: x[::-1], "knots do not increase"),
        ("x", lambda x: x + 0.1, "halfway between whole numbers"),
        ("u", lambda u: u[::-1], "do not rise from 0 to 1"),
        ("u", lambda u: u[:-1], "misshapen"),
        ("u", lambda u: u.astype(np.float32), "of float32, not"),
        ("shares", lambda s: -s, "do not add up to one"),
        ("shares", lambda s: s[0], "misshapen"),
        ("bound", lambda b: b * 1e9, "bound .* is not among its numbers"),
        ("bound", lambda b: b[:0], "misshapen"),
    ],
)
def test_a_margin_that_cannot_be_is_refused(stored, name, change, message):
    content, arrays = part(stored, Transformer)
    arrays[f"wage/1/{name}"] = np.ascontiguousarray(change(arrays[f"wage/1/{name}"]))
    with pytest.raises(ValueError, match=rf"^the stored transformer is damaged \(.*{message}"):
        read(Transformer, content, arrays)


@pytest.mark.parametrize(("text", "weights"), [(None, b""), ("{}", None)])
def test_a_stored_row_without_content_is_refused(text, weights):
    with pytest.raises(ValueError, match=r"the stored flow is damaged \(.*are missing"):
        Flow.from_data(text, weights)


@pytest.mark.parametrize("kind", [Transformer, ZeroModel, Flow])
def test_missing_and_surplus_arrays_are_refused(stored, kind):
    content, arrays = part(stored, kind)
    with pytest.raises(ValueError, match="more not expected"):
        read(kind, content, {**arrays, "more": np.zeros(1, np.float32)})
    for name in arrays:
        with pytest.raises(ValueError, match=f"{name}.* missing"):
            read(kind, content, {k: v for k, v in arrays.items() if k != name})


def test_a_density_cannot_go_missing(stored):
    content, arrays = part(stored, Flow)
    del content["inputs"]["wage/1"]
    left = {k: v for k, v in arrays.items() if not k.startswith("wage/1/")}
    with pytest.raises(ValueError, match="density of wage > 0 was trained, but is missing"):
        read(Flow, content, left)


@pytest.mark.parametrize("value", ["x", 2**64, None, [1]])
def test_a_training_history_that_cannot_be_is_refused(stored, value):
    content, arrays = part(stored, Flow)
    content["history"][0]["epoch"] = value
    with pytest.raises(ValueError, match=r"history\.0\.epoch"):
        read(Flow, content, arrays)


def test_parts_that_do_not_belong_together_are_refused(stored):
    other = Synthesizer(["wage"], ["age"]).fit(records(100), None, epochs=1)
    own = Prior.from_data(*stored.prior)
    with pytest.raises(ValueError, match="zero model has other conditions or classes"):
        Synthesizer.from_parts(own.transformer, other.zero_model_, own.flow)
    with pytest.raises(ValueError, match="density of 'cents/1', which the transformer"):
        Synthesizer.from_parts(other.transformer_, other.zero_model_, own.flow)
    content, arrays = json.loads(stored.prior[0]), safetensors.numpy.load(stored.prior[1])
    content["transformer"]["conditions"].pop()
    content["transformer"]["only_where"].pop("rent")
    with pytest.raises(ValueError, match=r"^the stored prior is damaged \(the zero model has"):
        read(Prior, content, arrays)


def test_parameters_too_large_for_probabilities_are_named(stored, conditions):
    own = Prior.from_data(*stored.prior)
    for kind in (ZeroModel, Flow):
        content, arrays = part(stored, kind)
        large = {name: np.full_like(array, 3e38) for name, array in arrays.items()}
        parts = {
            "zero_model": own.zero_model,
            "flow": own.flow,
            kind.kind: read(kind, content, large),
        }
        model = Synthesizer.from_parts(own.transformer, **parts)
        with pytest.raises(ValueError, match="no probabilities that are numbers"):
            model.generate(conditions, seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": "0"}, r"options\.seed"),
        ({"max_knots": 0}, r"options\.max_knots"),
        ({"tail_factor": 1e9}, r"options\.tail_factor"),
        ({"settings": {"epochs": "40"}}, r"options\.settings\.epochs"),
        ({"more": 1}, "unknown key"),
    ],
)
def test_options_that_cannot_be_are_refused(stored, tmp_path, options, message):
    about = json.loads(stored.entries["format.json"])
    about["options"] |= options
    entries = stored.entries | {"format.json": json.dumps(about).encode()}
    (tmp_path / "own.mpx").write_bytes(archive(list(entries.items())))
    with pytest.raises(
        ValueError, match=rf"^own\.mpx is not .*damaged: format\.json: .*{message}"
    ):
        Synthesizer.load(tmp_path / "own.mpx")


def test_a_rule_may_name_a_value_that_a_columns_type_cannot_hold(stored, conditions):
    content, arrays = part(stored, Transformer)
    content["only_where"]["rent"] = ["kids", 1000]
    own = Prior.from_data(*stored.prior)
    model = Synthesizer.from_parts(read(Transformer, content, arrays), own.zero_model, own.flow)
    drawn = model.generate(conditions.with_columns(pl.col("kids").cast(pl.Int8)), seed=0)
    assert drawn["rent"].abs().sum() == 0
