"""Dropout that costs an eighth of torch's random numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = 256


class ByteDropout(nn.Module):
    """Dropout (Srivastava et al. 2014, JMLR 15: 1929-1958) from random bytes instead of random floats.

    On CPUs torch makes one 32-bit random number per unit, which takes a fifth of the training of a small
    network. Here a 64-bit number decides on eight units.

    Parameters
    ----------
    share : of the units that are dropped, rounded to a multiple of 1/256.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.dropped = round(share * LEVELS)
        self.scale = LEVELS / max(LEVELS - self.dropped, 1)

    def forward(self, units: Tensor) -> Tensor:
        """Return the units (n, k); in training, with some of them set to zero and the others scaled up."""
        if not self.training or not self.dropped:
            return units
        words = torch.empty(units.numel() // 8 + 1, dtype=torch.int64, device=units.device)
        bytes_ = words.random_(-(2**63), None).view(torch.uint8)[: units.numel()]
        kept = (bytes_.view(units.shape) >= self.dropped).to(units.dtype).mul_(self.scale)
        return units * kept
