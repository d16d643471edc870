"""The national model of compositions as it is stored, or that there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from microplex_pipeline.synthesis import FittedModel, Prior, SynthesizedCompositions, Synthesizer
from microplex_pipeline.synthesis.fitted_model import arrays_under
from microplex_pipeline.synthesis.prior import StoredPrior
from microplex_pipeline.synthesis.stored_form import Stored


class StoredCompositions(Stored):
    """`NationalCompositions` as they are stored, beside their arrays."""

    households: StoredPrior | None
    units: StoredPrior | None


@dataclass(frozen=True)
class NationalCompositions(FittedModel):
    """A national model of compositions, from which every state's starts.

    Attributes
    ----------
    model : None if compositions are those of surveyed households, which need no model.
    """

    kind: ClassVar[str] = "national_compositions"
    form: ClassVar[type[Stored]] = StoredCompositions

    model: SynthesizedCompositions | None

    def architecture(self) -> dict[str, Any]:
        """Return the JSON parts by level; null if there is no model."""
        levels = {name: level.architecture() for name, level in self._levels().items()}
        return {"households": None, "units": None, **levels}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the models' arrays, by "level/kind/name"."""
        levels = self._levels()
        return {f"{k}/{name}": a for k, of in levels.items() for name, a in of.arrays().items()}

    def _levels(self) -> dict[str, Prior]:
        if self.model is None:
            return {}
        assert self.model.members is not None  # units have conditions
        return {
            name: Prior(of.transformer_, of.zero_model_, of.flow_model_)
            for name, of in (("households", self.model.groups), ("units", self.model.members))
        }

    @classmethod
    def restore(cls, stored: StoredCompositions, arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild from the stored form and `arrays`."""
        forms = {"households": stored.households, "units": stored.units}
        if surplus := sorted(name for name in arrays if name.split("/")[0] not in forms):
            raise ValueError(f"{', '.join(surplus[:5])} not expected")
        models = {
            name: _synthesizer(Prior.restore(form, arrays_under(f"{name}/", arrays)))
            for name, form in forms.items()
            if form is not None
        }
        if not models:
            return cls(None)
        if len(models) < len(forms):
            raise ValueError("the model of households or of units is missing")
        return cls(SynthesizedCompositions(models["households"], models["units"]))


def _synthesizer(of: Prior) -> Synthesizer:
    return Synthesizer.from_parts(of.transformer, of.zero_model, of.flow)
