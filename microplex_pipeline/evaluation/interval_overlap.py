"""Overlap of confidence intervals: whether an analyst of synthetic records would conclude the same."""

from __future__ import annotations

from microplex_pipeline.evaluation.inference import Estimate


def interval_overlap(real: Estimate, synthetic: Estimate) -> float:
    """Return how much the intervals of an estimate from real and from synthetic records overlap.

    The mean of the overlap's shares of the two intervals (Karr, Kohnen, Oganian, Reiter and Sanil 2006, The
    American Statistician 60: 224-232): 1 if they agree, 0 if they touch, negative if they are apart.

    Parameters
    ----------
    real, synthetic : estimates with intervals of positive length.

    Raises
    ------
    ValueError
        If an interval has no length.
    """
    lengths = [estimate.high - estimate.low for estimate in (real, synthetic)]
    if min(lengths) <= 0:
        raise ValueError("an interval has no length: its estimate has no standard error")
    common = min(real.high, synthetic.high) - max(real.low, synthetic.low)
    return sum(common / length for length in lengths) / 2
