import itertools

import numpy as np
import pytest
import torch

from microplex_pipeline.synthesis.drawing import invert
from microplex_pipeline.synthesis.models.flow import bin_overlap
from microplex_pipeline.synthesis.models.networks import ClassNetwork, ClassSteps, RankDensity
from microplex_pipeline.synthesis.models.stored_networks import BINS, BUMPS


def scrambled(network):
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
    return network.eval()


@pytest.fixture
def network():
    return scrambled(ClassNetwork(2, [3, 2, 4], [1, 0, -1], torch.zeros(9), 16, 4, 2, 0.1))


def test_targets_depend_on_context_and_earlier_targets_alone(network):
    x = torch.randn(8)
    jacobian = torch.autograd.functional.jacobian(lambda v: network(v[None])[0], x)
    # inputs: context 0-1, classes of target 0 at 2-3, of target 1 at 4, of target 2 at 5-7
    for rows, allowed in ((slice(0, 3), 2), (slice(3, 5), 4), (slice(5, 9), 5)):
        assert jacobian[rows, :allowed].abs().min() > 0
        assert jacobian[rows, allowed:].abs().max() == 0


def test_the_first_target_has_the_units_of_the_context_and_its_share_of_the_others(network):
    # 4 of 16 units see the context alone; the other 12 are divided among three targets
    assert [network.degrees.count(j) for j in range(3)] == [4 + 4, 4, 4]
    with torch.no_grad():
        used = torch.autograd.functional.jacobian(network.out, torch.ones(16)).ne(0)
    assert used[:3].any(0).sum() == 8
    assert used[5:].any(0).sum() == 16


def test_probabilities_of_all_class_patterns_add_up_to_one(network):
    patterns = list(itertools.product(range(3), range(2), range(4)))
    encoded = [
        np.concatenate([np.eye(k)[s][1:] for s, k in zip(p, (3, 2, 4), strict=True)])
        for p in patterns
    ]
    context = np.tile([0.3, -1.2], (len(patterns), 1))
    x = torch.tensor(np.column_stack([context, encoded]), dtype=torch.float32)
    with torch.no_grad():
        nll = network.negative_log_prob(x, torch.tensor(patterns), torch.ones(len(patterns), 3))
    assert float(torch.exp(-nll.double()).sum()) == pytest.approx(1.0, abs=1e-6)


def test_stepwise_probabilities_agree_with_the_whole_network(network):
    x = torch.randn(7, 8)
    steps = ClassSteps(network, x[:, :2].numpy())
    with torch.no_grad():
        whole = network(x).split([3, 2, 4], dim=1)
    for j, encoded in enumerate((x[:, 2:4], x[:, 4:5], x[:, 5:])):
        expected = whole[j].double().softmax(-1).numpy()
        np.testing.assert_allclose(steps.probabilities(j), expected, atol=1e-6)
        steps.observe(encoded.numpy())


def test_rank_density_integrates_to_one():
    density = scrambled(RankDensity(3, BINS, 16, 2, 0.1, BUMPS))
    edges = np.linspace(0, 1, 401)
    overlap = torch.tensor(bin_overlap(edges[:-1], edges[1:]))
    x = torch.randn(1, 3).expand(400, 3)
    with torch.no_grad():
        p = torch.exp(-density.negative_log_prob(x, torch.log(overlap + 1e-300)))
    assert float(p.sum()) == pytest.approx(1.0, abs=1e-5)


def test_drawing_inverts_the_conditional_distribution_function():
    density = scrambled(RankDensity(3, BINS, 16, 2, 0.1, BUMPS))
    with torch.no_grad():
        p = density(torch.randn(200, 3)).double().exp().numpy()
    p = p / p.sum(axis=1, keepdims=True)
    u = np.random.default_rng(0).random(200)
    bins, inside = invert(p, u)
    rank = (bins + inside) / BINS
    below = np.concatenate([np.zeros((200, 1)), p.cumsum(axis=1)], axis=1)
    function = np.array(
        [np.interp(r, np.arange(BINS + 1) / BINS, b) for r, b in zip(rank, below, strict=True)]
    )
    np.testing.assert_allclose(function, u, atol=1e-9)


def test_density_is_the_slope_of_the_distribution_function():
    density = scrambled(RankDensity(3, BINS, 16, 2, 0.1, BUMPS))
    x = torch.randn(1, 3)
    for start in (0.11, 0.52, 0.93):  # not where two bins meet
        rank = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        p = density(x).double().exp()[0]
        edges = torch.arange(BINS) / BINS
        function = (p * (BINS * (rank - edges)).clamp(0, 1)).sum()
        (slope,) = torch.autograd.grad(function, rank)
        cell = bin_overlap(np.array([start - 1e-4]), np.array([start + 1e-4]))
        with torch.no_grad():
            mass = torch.exp(-density.negative_log_prob(x, torch.log(torch.tensor(cell) + 1e-300)))
        assert float(mass) / 2e-4 == pytest.approx(float(slope), rel=1e-4)
