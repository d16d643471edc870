"""Dropout from random bytes."""

import pytest
import torch

from microplex_pipeline.synthesis.models.dropout import ByteDropout


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_share_is_dropped_and_the_mean_is_kept(share):
    torch.manual_seed(0)
    layer = ByteDropout(share).train()
    found = layer(torch.ones(1_000, 333))
    dropped = found == 0
    assert dropped.float().mean() == pytest.approx(share, abs=0.004)  # a multiple of 1/256
    assert found.mean() == pytest.approx(1, abs=0.003)
    assert found[~dropped].unique().numel() == 1
    # units of a row, and a unit in neighbouring rows, are dropped independently
    for one, other in ((dropped[:, :-1], dropped[:, 1:]), (dropped[:-1], dropped[1:])):
        assert (one & other).float().mean() == pytest.approx(share**2, abs=0.004)


def test_nothing_is_dropped_outside_training_or_at_share_zero():
    units = torch.randn(5, 3)
    assert ByteDropout(0.5).eval()(units) is units
    assert ByteDropout(0.0).train()(units) is units


def test_gradients_pass_through_kept_units_only():
    torch.manual_seed(0)
    units = torch.ones(40, 10, requires_grad=True)
    found = ByteDropout(0.3).train()(units)
    found.sum().backward()
    assert torch.equal(units.grad, found.detach())


def test_a_seed_decides():
    layer, units = ByteDropout(0.5).train(), torch.ones(20, 20)
    torch.manual_seed(1)
    first = layer(units)
    torch.manual_seed(1)
    assert torch.equal(layer(units), first)
    assert not torch.equal(layer(units), first)
