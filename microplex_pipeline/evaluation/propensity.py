"""Propensity measures of utility: pMSE and SPECKS, each beside what two real samples would give.

A classifier gives every record the probability of being synthetic. If the records are indistinguishable, all
probabilities equal the share of synthetic records, and their distributions agree.

References
----------
Woo, M.-J., Reiter, J. P., Oganian, A. and Karr, A. F. (2009). Global measures of data utility for microdata
masked for disclosure limitation. Journal of Privacy and Confidentiality 1: 111-124.
Snoke, J., Raab, G. M., Nowok, B., Dibben, C. and Slavkovic, A. (2018). General and specific utility measures
for synthetic data. Journal of the Royal Statistical Society A 181: 663-688.
Bowen, C. M., Liu, F. and Su, B. (2021). Differentially private data release via statistical election to
partition sequentially. METRON 79: 1-31. (SPECKS)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microplex_pipeline.evaluation.two_sample import out_of_fold_probabilities

SPLITS = 5  # halves of the real records, for what chance gives


@dataclass(frozen=True)
class Propensity:
    """How well synthetic records can be told from real ones.

    Attributes
    ----------
    pmse : mean squared distance of the probabilities from the share of synthetic records; 0 is best.
    pmse_by_chance : the same for random halves of the real records.
    specks : Kolmogorov-Smirnov distance of the probabilities of real and synthetic records; 0 is best.
    specks_by_chance : the same for random halves of the real records.
    """

    pmse: float
    pmse_by_chance: float
    specks: float
    specks_by_chance: float

    @property
    def pmse_ratio(self) -> float:
        """The pMSE divided by what chance gives; 1 is best."""
        return self.pmse / self.pmse_by_chance


def propensity(
    real: np.ndarray,
    synthetic: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
) -> Propensity:
    """Return the propensity measures, by boosted trees that are tested on records which they have not seen.

    Chance is measured, not assumed: with trees, the formulas for logistic regression do not hold. Samples of
    equal size are compared, since both measures depend on size.

    Parameters
    ----------
    real, synthetic : (n, k) and (m, k) numbers, NaN if missing; at least 100 rows each.
    weights : of the real (n,) and of the synthetic rows (m,); None for equal weights.
    seed : of samples, folds and trees.

    Raises
    ------
    ValueError
        If there are fewer rows.
    """
    if min(len(real), len(synthetic)) < 100:
        raise ValueError(
            f"{len(real)} real and {len(synthetic)} synthetic rows are too few: 100 each are needed"
        )
    w, v = weights or (np.ones(len(real)), np.ones(len(synthetic)))
    rng = np.random.default_rng(seed)
    size = min(len(real) // 2, len(synthetic))

    def compared(
        a: np.ndarray, b: np.ndarray, u: np.ndarray, t: np.ndarray
    ) -> tuple[float, float]:
        return _measures(*out_of_fold_probabilities(a, b, (u, t), seed))

    found, chance = [], []
    for _ in range(SPLITS):
        order = rng.permutation(len(real))
        one, two = order[:size], order[size : 2 * size]
        drawn = rng.choice(len(synthetic), size, replace=False)
        found.append(compared(real[one], synthetic[drawn], w[one], v[drawn]))
        chance.append(compared(real[one], real[two], w[one], w[two]))
    (pmse, specks), (pmse_0, specks_0) = np.mean(found, axis=0), np.mean(chance, axis=0)
    return Propensity(float(pmse), float(pmse_0), float(specks), float(specks_0))


def _measures(
    of_real: np.ndarray, of_synthetic: np.ndarray, weights: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float]:
    """Return pMSE and SPECKS of probabilities; both kinds of records weigh the same in total."""
    w, v = (x / x.sum() for x in weights)
    pmse = (w @ (of_real - 0.5) ** 2 + v @ (of_synthetic - 0.5) ** 2) / 2
    values = np.concatenate([of_real, of_synthetic])
    order = np.argsort(values, kind="stable")
    steps = np.concatenate([w, -v])[order].cumsum()
    last = np.append(np.diff(values[order]) > 0, True)  # equal probabilities step together
    return float(pmse), float(np.abs(steps[last]).max())
