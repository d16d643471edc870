"""The prior: all parts of a synthesizer of a larger population, stored as one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from microplex_pipeline.synthesis.fitted_model import FittedModel
from microplex_pipeline.synthesis.flow import Flow
from microplex_pipeline.synthesis.transformer import Transformer
from microplex_pipeline.synthesis.zero_model import ZeroModel

PARTS: tuple[type[FittedModel], ...] = (Transformer, ZeroModel, Flow)


@dataclass(frozen=True)
class Prior(FittedModel):
    """Transformer, zero model and flow that small areas lean on."""

    kind: ClassVar[str] = "prior"

    transformer: Transformer
    zero_model: ZeroModel
    flow: Flow

    def architecture(self) -> dict[str, Any]:
        """Return the JSON parts by kind."""
        return {p.kind: p.architecture() for p in (self.transformer, self.zero_model, self.flow)}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the parts' arrays, their kind before their name."""
        parts = (self.transformer, self.zero_model, self.flow)
        return {f"{p.kind}/{k}": a for p in parts for k, a in p.arrays().items()}

    @classmethod
    def restore(cls, architecture: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild from `architecture` and `arrays`."""
        parts: dict[str, Any] = {}
        for part in PARTS:
            prefix = f"{part.kind}/"
            own = {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}
            parts[part.kind] = part.restore(architecture[part.kind], own)
        return cls(**parts)
