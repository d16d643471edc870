"""Preconditioned conjugate gradients for the steps of Newton's method.

Hestenes and Stiefel 1952, Journal of Research of the National Bureau of Standards 49: 409-436; stopping
early as in inexact Newton methods (Dembo, Eisenstat and Steihaug 1982, SIAM Journal on Numerical
Analysis 19: 400-408).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MAX_PRODUCTS = 200  # iterations per Newton step


def conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray],
    precondition: Callable[[np.ndarray], np.ndarray],
    gradient: np.ndarray,
    forcing: float,
    most: int = MAX_PRODUCTS,
) -> tuple[np.ndarray, int]:
    """Solve H step = -gradient until the residual is `forcing` times the first.

    Parameters
    ----------
    product : multiplies an array of the gradient's shape by the positive semidefinite H.
    precondition : multiplies by an approximate inverse of H, in whose norm residuals are measured.
    gradient : of any shape.
    forcing : ratio of the last residual to the first.
    most : largest number of products.

    Returns
    -------
    The step, and the number of products.
    """
    step, residual = np.zeros_like(gradient), -gradient
    z = precondition(residual)
    direction, energy = z, float((residual * z).sum())
    first = energy
    for used in range(1, most + 1):
        image = product(direction)
        curvature = float((direction * image).sum())
        if curvature <= 0:  # a flat direction, up to rounding
            return (step if used > 1 else z), used
        step += energy / curvature * direction
        residual -= energy / curvature * image
        z = precondition(residual)
        last, energy = energy, float((residual * z).sum())
        if energy <= forcing**2 * first:
            break
        direction = z + energy / last * direction
    return step, used
