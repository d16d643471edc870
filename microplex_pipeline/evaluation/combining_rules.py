"""Estimates from several synthetic or imputed files of one survey (implicates), combined.

For files of other synthesizers, or several draws of one model. The rules need the variance that each file
would have if it were a real sample, which calibrated files do not show: for this pipeline's own files, the
replicates give the error (see `inference`).

References
----------
Raghunathan, T. E., Reiter, J. P. and Rubin, D. B. (2003). Multiple imputation for statistical disclosure
limitation. Journal of Official Statistics 19: 1-16.
Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.
Reiter, J. P. (2002). Satisfying disclosure restrictions with synthetic data sets. Journal of Official
Statistics 18: 531-543.
Reiter, J. P. (2003). Inference for partially synthetic, public use microdata sets. Survey Methodology
29: 181-188.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from microplex_pipeline.evaluation.inference import Estimate

Kind = Literal["fully", "partially", "imputed"]


def combine_implicates(
    estimates: Sequence[float],
    variances: Sequence[float],
    kind: Kind,
    *,
    size_ratio: float = 1.0,
    level: float = 0.95,
) -> Estimate:
    """Return the combined estimate of m implicates, with its standard error and interval.

    With the mean q of the estimates, their variance b and the mean u of the variances, the variance is

    * (1 + 1/m) b - u for fully synthetic files, with (m - 1) (1 - u / ((1 + 1/m) b))^2 degrees of freedom.
      If that is not positive, it is `size_ratio` times u (Reiter 2002), with m - 1 degrees of freedom;
    * b/m + u for partially synthetic files, with (m - 1) (1 + u / (b/m))^2 degrees of freedom;
    * (1 + 1/m) b + u for files in which missing values were imputed (Rubin 1987), with
      (m - 1) (1 + u / ((1 + 1/m) b))^2 degrees of freedom.

    Parameters
    ----------
    estimates : (m,) the statistic in each file.
    variances : (m,) its variance in each file, as if the file were a sample of real people.
    kind : "fully" if every record of a file is synthetic, drawn independently of who was surveyed;
        "partially" if each file has the surveyed records with some values replaced; "imputed" if each has
        them with missing values filled.
    size_ratio : records of one synthetic file over surveyed records.
    level : of the interval.

    Raises
    ------
    ValueError
        If there are fewer than two files, the lengths differ, a number is not finite, a variance is negative,
        or the kind is unknown.

    Examples
    --------
    >>> combined = combine_implicates([10.0, 12.0, 11.0], [0.5, 0.5, 0.5], "partially")
    >>> combined.value, round(combined.standard_error**2, 4)
    (11.0, 0.8333)
    """
    q, v = np.asarray(estimates, float), np.asarray(variances, float)
    m = len(q)
    if q.ndim != 1 or q.shape != v.shape or m < 2:
        raise ValueError("give one estimate and one variance for each of at least two files")
    if not (np.isfinite(q).all() and np.isfinite(v).all() and (v >= 0).all()):
        raise ValueError("estimates must be finite, variances finite and not negative")
    between, within = float(q.var(ddof=1)), float(v.mean())
    if kind == "fully":
        spread = (1 + 1 / m) * between
        variance, df = spread - within, m - 1.0
        if variance > 0:
            df = (m - 1) * (variance / spread) ** 2  # 1 - u / ((1 + 1/m) b)
        else:
            variance = size_ratio * within
    elif kind in ("partially", "imputed"):
        spread = between / m if kind == "partially" else (1 + 1 / m) * between
        variance = spread + within
        # all files agree: as with known variance
        with np.errstate(divide="ignore", over="ignore"):
            df = float((m - 1) * (1 + np.float64(within) / spread) ** 2)
    else:
        raise ValueError(f"kind must be 'fully', 'partially' or 'imputed', not {kind!r}")
    return Estimate.from_error(float(q.mean()), variance**0.5, df, level)
