"""Whether a stored network's sizes are those of its arrays, before memory is set aside for them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def check_sizes(arrays: Mapping[str, np.ndarray], inputs: int, hidden: int, layers: int) -> None:
    """Check what an architecture says of a network with layers hidden.0, hidden.1, ... and out.

    A network is as large as its arrays say, so that a forged size costs no memory.

    Raises
    ------
    ValueError
        If arrays are missing, or sizes are others than the arrays'.
    """
    weights = [name for name in arrays if name.startswith("hidden.") and name.endswith(".weight")]
    if len(weights) != layers or not layers:
        raise ValueError(f"{layers!r} hidden layers, but arrays of {len(weights)}")
    found = arrays["hidden.0.weight"].shape
    if found != (hidden, inputs):
        raise ValueError(f"hidden.0.weight is {found}, not {(hidden, inputs)}")
