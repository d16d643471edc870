"""What every fitted part is when it is stored: a JSON architecture and named arrays, never a pickle."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError


class FittedModel(ABC):
    """A fitted part of a synthesizer that can be written as data and read back.

    Subclasses set `kind`, a name that is stored beside the data and checked when it is read.
    """

    kind: ClassVar[str]

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """Everything that JSON can hold: names, sizes, categories."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Everything numeric, by name."""

    @classmethod
    @abstractmethod
    def restore(cls, architecture: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild the part from what `architecture` and `arrays` returned."""

    def to_data(self) -> tuple[str, bytes]:
        """Return the part as a JSON text and safetensors bytes.

        The same fitted part gives the same bytes.
        """
        arrays = {k: np.ascontiguousarray(v) for k, v in sorted(self.arrays().items())}
        text = json.dumps({"kind": self.kind, **self.architecture()}, sort_keys=True)
        return text, safetensors.numpy.save(arrays)

    @classmethod
    def from_data(cls, text: str, weights: bytes) -> Self:
        """Read a part back from `to_data`.

        Raises
        ------
        ValueError
            If the data are of another kind of part, or are damaged.
        """
        try:
            architecture = json.loads(text)
            arrays = safetensors.numpy.load(weights)
            found = architecture.pop("kind", None)
        except RecursionError as error:
            raise ValueError(f"the stored {cls.kind} is damaged (nested too deeply)") from error
        except (ValueError, SafetensorError, AttributeError, TypeError, KeyError) as error:
            raise ValueError(
                f"the stored {cls.kind} is damaged ({error}); fit it again"
            ) from error
        if found != cls.kind:
            raise ValueError(f"expected a stored {cls.kind}, found {found!r}")
        if bad := [name for name, array in arrays.items() if not np.isfinite(array).all()]:
            raise ValueError(
                f"the stored {cls.kind} is damaged (not finite: {', '.join(bad[:5])})"
            )
        try:
            return cls.restore(architecture, arrays)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ValueError(
                f"the stored {cls.kind} is damaged ({type(error).__name__}: {error}); fit it again"
            ) from error
