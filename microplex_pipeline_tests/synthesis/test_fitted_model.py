import json

import numpy as np
import pytest
import safetensors.numpy

from microplex_pipeline.synthesis import Transformer, ZeroModel
from microplex_pipeline.synthesis.models.training_settings import TrainingSettings


@pytest.fixture(scope="module")
def stored(records):
    ones = np.ones(records.height)
    transformer = Transformer.fit(records, ["snap", "wages_head"], ["age_head"], ones)
    settings = TrainingSettings(epochs=1, min_steps=1)
    zero_model = ZeroModel.fit(records, transformer, ones, settings, 0)
    return {type(p): p.to_data() for p in (transformer, zero_model)}


@pytest.mark.parametrize("kind", [Transformer, ZeroModel])
def test_data_come_back_as_they_were(stored, kind):
    text, weights = stored[kind]
    assert kind.from_data(text, weights).to_data() == (text, weights)


@pytest.mark.parametrize("text", ["null", "[]", "5", "{}", "{", '{"kind": "flow"}'])
@pytest.mark.parametrize("kind", [Transformer, ZeroModel])
def test_a_tampered_architecture_is_refused(stored, kind, text):
    with pytest.raises(ValueError, match=r"damaged|expected a stored"):
        kind.from_data(text, stored[kind][1])


@pytest.mark.parametrize("kind", [Transformer, ZeroModel])
def test_tampered_arrays_are_refused(stored, kind):
    text, weights = stored[kind]
    arrays = safetensors.numpy.load(weights)
    name = next(iter(arrays))
    spoiled = {**arrays, name: np.full_like(arrays[name], np.nan)}
    with pytest.raises(ValueError, match="damaged"):
        kind.from_data(text, safetensors.numpy.save(spoiled))
    with pytest.raises(ValueError, match="damaged"):
        kind.from_data(text, weights[:-9])


def test_misshapen_networks_are_refused(stored):
    text, weights = stored[ZeroModel]
    arrays = safetensors.numpy.load(weights)
    cut = {**arrays, "out.bias": arrays["out.bias"][:1]}
    with pytest.raises(ValueError, match=r"damaged \(out\.bias is misshapen"):
        ZeroModel.from_data(text, safetensors.numpy.save(cut))
    missing = json.loads(text)
    del missing["n_states"]
    with pytest.raises(ValueError, match="damaged"):
        ZeroModel.from_data(json.dumps(missing), weights)
