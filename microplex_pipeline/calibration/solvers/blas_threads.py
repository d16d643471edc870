"""One thread for many small dense systems.

Several threads are no faster on systems of up to a few hundred unknowns, and slower by far where other
processes use the machine: each call then waits for threads that are not running.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import scipy.linalg  # noqa: F401  its library must be loaded before the controller looks for it
from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[Any]:
    """Return a context within which linear algebra uses one thread."""
    return _controller().limit(limits=1, user_api="blas")


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
