"""The prior: all parts of a larger population's synthesizer, stored as one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from microplex_pipeline.synthesis.fitted_model import FittedModel, arrays_under
from microplex_pipeline.synthesis.flow import Flow
from microplex_pipeline.synthesis.transformer import Transformer
from microplex_pipeline.synthesis.zero_model import ZeroModel

PARTS: tuple[type[FittedModel], ...] = (Transformer, ZeroModel, Flow)


@dataclass(frozen=True)
class Prior(FittedModel):
    """Transformer, zero model and flow of a larger population, from which small areas start."""

    kind: ClassVar[str] = "prior"

    transformer: Transformer
    zero_model: ZeroModel
    flow: Flow

    def architecture(self) -> dict[str, Any]:
        """Return the JSON parts by kind."""
        return {p.kind: p.architecture() for p in (self.transformer, self.zero_model, self.flow)}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the parts' arrays, by "kind/name"."""
        parts = (self.transformer, self.zero_model, self.flow)
        return {f"{p.kind}/{k}": a for p in parts for k, a in p.arrays().items()}

    @classmethod
    def restore(cls, architecture: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild from `architecture` and `arrays`."""
        parts: dict[str, Any] = {}
        for part in PARTS:
            own = arrays_under(f"{part.kind}/", arrays)
            parts[part.kind] = part.restore(architecture[part.kind], own)
        return cls(**parts)
