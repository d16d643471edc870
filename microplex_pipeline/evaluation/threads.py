"""One thread for trees and nearest neighbours of few rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Run scikit-learn and linear algebra on one thread, for a block of code or a decorated function.

    On a few thousand rows several threads save little. Beside other processes they take many times as long:
    each step waits for threads that are not running, and this waiting keeps a core busy.
    """
    import sklearn.ensemble  # noqa: F401  loads the OpenMP library that the limits must find
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield
