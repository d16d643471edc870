"""Base of the estimators: parameters that can be read, set and copied, and an informative repr.

The conventions are scikit-learn's (Buitinck et al. 2013, API design for machine learning software), so
that its `clone` and pipelines accept these estimators. scikit-learn itself is not needed.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any, Self


class NotFittedError(ValueError, AttributeError):
    """An estimator was used before `fit`."""


def not_fitted(message: str) -> NotFittedError:
    """Return the error, which is scikit-learn's of the same name, too, where scikit-learn is in use."""
    theirs = sys.modules.get("sklearn.exceptions")
    if theirs is None:
        return NotFittedError(message)
    both = type(NotFittedError.__name__, (NotFittedError, theirs.NotFittedError), {})
    error: NotFittedError = both(message)
    return error


class Estimator:
    """Base class of the estimators. Each parameter of `__init__` is an attribute of the same name."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of `__init__` by name.

        Parameters
        ----------
        deep : ignored, since no parameter is an estimator; scikit-learn passes it.
        """
        del deep
        return {name: getattr(self, name) for name in _parameters(type(self))}

    def set_params(self, **params: Any) -> Self:
        """Change parameters, and return the estimator. Fitted results are kept until the next `fit`.

        Raises
        ------
        ValueError
            If there is no such parameter, or `__init__` refuses a value. Then no parameter is changed.
        """
        known = _parameters(type(self))
        if unknown := sorted(set(params) - set(known)):
            raise ValueError(
                f"{type(self).__name__} has no parameter {', '.join(unknown)}; it has "
                f"{', '.join(known)}"
            )
        checked = type(self)(**{**self.get_params(), **params})
        for name in params:
            setattr(self, name, getattr(checked, name))
        return self

    def clone(self) -> Self:
        """Return an unfitted estimator with the same parameters."""
        return type(self)(**self.get_params())

    __sklearn_clone__ = clone

    def __repr__(self) -> str:
        """Show the parameters that differ from their defaults, and after `fit` a summary of the fit."""
        given = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if not _is_default(value, _parameters(type(self))[name].default)
        ]
        summary = self._fit_summary()
        return f"{type(self).__name__}({', '.join(given)})" + (f"\n{summary}" if summary else "")

    def _fit_summary(self) -> str | None:
        """Return a summary of the fit, of one line or more; None before `fit`."""
        return None


def _parameters(kind: type[Estimator]) -> dict[str, inspect.Parameter]:
    parameters = dict(inspect.signature(kind.__init__).parameters)
    del parameters["self"]
    return parameters


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))
