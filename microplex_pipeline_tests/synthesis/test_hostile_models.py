"""Tampered models: no code runs, and each is refused with one clear error."""

import json
import struct
import zipfile

import numpy as np
import pytest

from microplex_pipeline.synthesis import Flow, Synthesizer, Transformer, ZeroModel
from microplex_pipeline.synthesis.models.training_settings import TrainingSettings


@pytest.fixture(scope="module")
def fitted(records):
    settings = TrainingSettings(epochs=1, min_steps=1)
    return Synthesizer(["snap", "wages_head"], ["age_head"], settings=settings).fit(records)


@pytest.fixture(scope="module")
def stored(fitted):
    parts = (fitted.transformer_, fitted.zero_model_, fitted.flow_model_)
    return {type(part): part.to_data() for part in parts}


def tensors(header):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 4


HOSTILE_BYTES = {
    "empty": b"",
    "pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
    "header longer than the file": struct.pack("<Q", 2**62) + b"{}",
    "no JSON": struct.pack("<Q", 4) + b"nope",
    "beyond the end": tensors({"x": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}),
    "overflowing": tensors({"x": {"dtype": "F32", "shape": [2**62, 9], "data_offsets": [0, 4]}}),
    "unknown numbers": tensors({"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}),
    "a path": tensors({"../../x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}),
}


@pytest.mark.parametrize("kind", [Transformer, ZeroModel, Flow])
@pytest.mark.parametrize("blob", HOSTILE_BYTES.values(), ids=HOSTILE_BYTES.keys())
def test_hostile_arrays_are_refused(stored, kind, blob):
    with pytest.raises(ValueError, match=f"the stored {kind.kind} is damaged"):
        kind.from_data(stored[kind][0], blob)


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, '{"a":' * 100_000, "nul", '{"kind": NaN', " " * 40_000_000],
    ids=["lists", "objects", "no JSON", "NaN", "40 MB"],
)
def test_hostile_texts_are_refused(stored, text):
    for kind, (_, weights) in stored.items():
        with pytest.raises(ValueError, match=f"the stored {kind.kind} is damaged"):
            kind.from_data(text, weights)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (
            ZeroModel,
            ["hidden", "layers", "n_context", "context_units", "n_states", "zeros", "unobserved"],
        ),
        (Flow, ["hidden", "layers", "inputs"]),
        (Transformer, ["conditions", "targets", "only_where"]),
    ],
)
@pytest.mark.parametrize("value", [10**12, -1, "x", None, [10**9], {"__class__": "os.system"}])
def test_forged_sizes_cost_no_memory(stored, kind, names, value):
    text, weights = stored[kind]
    for name in names:
        forged = json.dumps({**json.loads(text), name: value})
        with pytest.raises(ValueError, match=f"the stored {kind.kind} is damaged"):
            kind.from_data(forged, weights)


def rewritten(source, target, change, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


@pytest.mark.parametrize(
    ("entry", "content"),
    [
        ("format.json", b"[]"),
        ("format.json", b"{"),
        ("format.json", b'{"format": "microplex synthesizer 2"}'),
        ("format.json", b'{"format": "microplex synthesizer 2", "options": 5}'),
        ("format.json", b"[" * 200_000),
        ("flow.json", b"\xff\xfe"),
        ("flow.safetensors", b""),
    ],
)
def test_a_forged_file_is_refused_by_name(fitted, tmp_path, entry, content):
    fitted.save(tmp_path / "own.mpx")
    forged = rewritten(
        tmp_path / "own.mpx", tmp_path / "forged.mpx", lambda n, b: content if n == entry else b
    )
    with pytest.raises(ValueError, match=r"^forged\.mpx is not a synthesizer file, or is damaged"):
        Synthesizer.load(forged)


def test_a_compressed_file_is_refused_before_it_expands(fitted, tmp_path):
    fitted.save(tmp_path / "own.mpx")
    bomb = rewritten(
        tmp_path / "own.mpx",
        tmp_path / "bomb.mpx",
        lambda name, content: b"0" * 50_000_000 if name == "flow.json" else content,
        zipfile.ZIP_DEFLATED,
    )
    assert bomb.stat().st_size < 10_000_000
    with pytest.raises(ValueError, match="compressed entries"):
        Synthesizer.load(bomb)


def test_entries_named_like_paths_are_never_written(fitted, tmp_path):
    fitted.save(tmp_path / "own.mpx")
    with zipfile.ZipFile(tmp_path / "own.mpx", "a") as archive:
        archive.writestr("../../escaped", "x")
    before = sorted(tmp_path.parent.iterdir())
    with pytest.raises(ValueError, match="which does not belong to it"):
        Synthesizer.load(tmp_path / "own.mpx")
    assert sorted(tmp_path.parent.iterdir()) == before
    assert [p.name for p in tmp_path.iterdir()] == ["own.mpx"]


def test_parameters_that_are_not_finite_are_refused(stored):
    import safetensors.numpy

    text, weights = stored[Flow]
    arrays = safetensors.numpy.load(weights)
    for bad in (np.nan, np.inf):
        name = next(iter(arrays))
        spoiled = {**arrays, name: np.full_like(arrays[name], bad)}
        with pytest.raises(ValueError, match="not finite"):
            Flow.from_data(text, safetensors.numpy.save(spoiled))
