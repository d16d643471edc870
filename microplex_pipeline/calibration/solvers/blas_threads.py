"""One BLAS thread for many small dense systems.

On systems of up to a few hundred unknowns several threads are no faster. They are much slower if other
processes use the machine, because each call waits for threads that are not running.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import scipy.linalg  # noqa: F401  loads the BLAS library that the controller must find
from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[Any]:
    """Return a context in which linear algebra uses one thread."""
    return _controller().limit(limits=1, user_api="blas")


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
