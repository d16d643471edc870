import numpy as np
import pytest
import torch
from opacus.grad_sample import GradSampleModuleFastGradientClipping

from microplex_pipeline.synthesis import TrainingSettings
from microplex_pipeline.synthesis.models.networks import ClassNetwork, RankDensity
from microplex_pipeline.synthesis.privacy.privacy_budget import Mechanism
from microplex_pipeline.synthesis.privacy.private_training import (
    Density,
    RecordLikelihood,
    train_privately,
)

N = 6
BINS = 8
HOLDERS = np.array([0, 2, 5])  # of the magnitude


@pytest.fixture
def likelihood():
    rng = np.random.default_rng(1)
    torch.manual_seed(0)
    classes = ClassNetwork(3, [3, 2], [0, -1], torch.zeros(5), 12, 4, 2, 0.0)
    density = RankDensity(7, BINS, 5, 2, 0.0, 3)
    for parameter in [*classes.parameters(), *density.parameters()]:
        parameter.data.normal_(std=0.5)
    overlap = np.log(rng.random((len(HOLDERS), BINS))).astype(np.float32)
    inputs = rng.normal(size=(N, 7)).astype(np.float32)
    of_classes = np.array([[0, 1], [1, 0], [2, 1], [0, 0], [1, 1], [2, 0]])
    applies = rng.random((N, 2)) < 0.8
    densities = [Density("x/1", density, 7, HOLDERS, overlap)]
    return RecordLikelihood(classes, densities, inputs, of_classes, applies).train()


def trained(network):
    return [p for p in network.parameters() if p.requires_grad]


def parameters(network):
    return torch.cat([p.detach().flatten().clone() for p in trained(network)])


def test_the_likelihood_of_a_record_is_the_sum_of_its_networks(likelihood):
    x = likelihood.inputs
    with torch.no_grad():
        expected = likelihood.classes.negative_log_prob(
            x[:, :6], likelihood.of_classes, likelihood.applies
        )
        expected[HOLDERS] += likelihood.densities[0].negative_log_prob(
            x[HOLDERS], likelihood.overlaps[0][1:]
        )
        torch.testing.assert_close(likelihood(torch.arange(N)), expected)


def test_the_lengths_that_clipping_uses_are_those_of_each_records_gradient(likelihood):
    expected = []
    for i in range(N):
        loss = likelihood(torch.tensor([i])).sum()
        slopes = torch.autograd.grad(loss, trained(likelihood), materialize_grads=True)
        expected.append(float(torch.cat([s.flatten() for s in slopes]).norm()))
    module = GradSampleModuleFastGradientClipping(
        likelihood, loss_reduction="sum", strict=False, max_grad_norm=1.0
    )
    module(torch.arange(N)).sum().backward()
    torch.testing.assert_close(module.get_norm_sample(), torch.tensor(expected))


def step(likelihood, weights, noise, sample_rate=1.0, norm=1.0, seed=0):
    settings = TrainingSettings(learning_rate=1e-3, weight_decay=0, averaging=0)
    mechanism = Mechanism(noise, sample_rate, 1)
    generator = torch.Generator().manual_seed(seed)
    before = parameters(likelihood)
    train_privately(likelihood, weights, mechanism, norm, settings, generator)
    return parameters(likelihood) - before


def test_a_batch_without_records_still_gets_noise(likelihood):
    change = step(likelihood, np.ones(N), 1.0, sample_rate=1e-12)
    assert torch.isfinite(change).all()
    assert (change != 0).float().mean() > 0.9


def test_the_same_noise_gives_the_same_parameters(likelihood):
    start = {k: v.clone() for k, v in likelihood.state_dict().items()}
    found = []
    for seed in (0, 0, 1):
        likelihood.load_state_dict(start)
        found.append(step(likelihood.train(), np.ones(N), 1.0, seed=seed))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
