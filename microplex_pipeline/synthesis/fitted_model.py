"""How a fitted part is stored: a JSON architecture and named arrays, never a pickle."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import safetensors.numpy

from microplex_pipeline.synthesis.stored_form import Stored, one_line, read_arrays, read_json


class FittedModel(ABC):
    """A fitted part of a synthesizer that can be written as data and read back.

    Subclasses set `kind`, a name that is stored with the data and checked when they are read, and
    `form`, which declares what `architecture` returns.
    """

    kind: ClassVar[str]
    form: ClassVar[type[Stored]]

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """Return what JSON can hold: names, sizes, categories."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Return the numeric arrays by name."""

    @classmethod
    @abstractmethod
    def restore(cls, stored: Any, arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild the part from its stored `form` and the result of `arrays`.

        Raises
        ------
        ValueError
            If they do not match each other.
        """

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
            if not isinstance(text, str) or not isinstance(weights, bytes):
                raise ValueError("its text or its weights are missing")
            architecture = read_json(text)
            if not isinstance(architecture, dict):
                raise ValueError("its architecture is not an object")
            found = architecture.pop("kind", None)
            if found == cls.kind:
                stored = cls.form.model_validate(architecture)
                return cls.restore(stored, read_arrays(weights))
        except ValueError as error:
            raise ValueError(
                f"the stored {cls.kind} is damaged ({one_line(error)}); fit it again"
            ) from error
        raise ValueError(f"expected a stored {cls.kind}, found {found!r:.40}")


def arrays_under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays whose names start with a prefix, without the prefix."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
