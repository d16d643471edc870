"""How a fitted part is stored: a JSON architecture and named arrays, never a pickle."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError


class FittedModel(ABC):
    """A fitted part of a synthesizer that can be written as data and read back.

    Subclasses set `kind`, a name that is stored with the data and checked when they are read.
    """

    kind: ClassVar[str]

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """Return what JSON can hold: names, sizes, categories."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Return the numeric arrays by name."""

    @classmethod
    @abstractmethod
    def restore(cls, architecture: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild the part from the results of `architecture` and `arrays`."""

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
            If the data belong to another kind of part, or are damaged.
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


def arrays_under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays whose names start with a prefix, without the prefix."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
