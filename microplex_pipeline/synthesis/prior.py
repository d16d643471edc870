"""All parts of a synthesizer as one model, e.g. a larger population's from which small areas start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from microplex_pipeline.synthesis.fitted_model import FittedModel, arrays_under
from microplex_pipeline.synthesis.models.flow import Flow
from microplex_pipeline.synthesis.models.stored_networks import StoredFlow, StoredZeroModel
from microplex_pipeline.synthesis.models.zero_model import ZeroModel
from microplex_pipeline.synthesis.parts import Parts
from microplex_pipeline.synthesis.stored_form import Stored
from microplex_pipeline.synthesis.transforms.transformer import StoredTransformer, Transformer

PARTS: tuple[type[FittedModel], ...] = (Transformer, ZeroModel, Flow)


class StoredPrior(Stored):
    """A `Prior` as it is stored, beside its arrays."""

    transformer: StoredTransformer
    zero_model: StoredZeroModel
    flow: StoredFlow


@dataclass(frozen=True)
class Prior(FittedModel):
    """Transformer, zero model and flow together, e.g. of a larger population from which areas start."""

    kind: ClassVar[str] = "prior"
    form: ClassVar[type[Stored]] = StoredPrior

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
    def restore(cls, stored: StoredPrior, arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild from the stored form and `arrays`."""
        own = {part.kind: arrays_under(f"{part.kind}/", arrays) for part in PARTS}
        if surplus := sorted(arrays.keys() - {f"{k}/{name}" for k in own for name in own[k]}):
            raise ValueError(f"{', '.join(surplus[:5])} not expected")
        parts = Parts(
            Transformer.restore(stored.transformer, own["transformer"]),
            ZeroModel.restore(stored.zero_model, own["zero_model"]),
            Flow.restore(stored.flow, own["flow"]),
        )
        return cls(*parts.checked())
