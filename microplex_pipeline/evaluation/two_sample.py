"""Two-sample tests of real and synthetic records: a paired classifier test, and coverage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from microplex_pipeline.evaluation.threads import one_thread

FOLDS = 5
GROUP_FOLDS = 3
GROUP_BINS = 32
RESAMPLES = 50


@dataclass(frozen=True)
class PairedAUC:
    """Area under the ROC curve of a classifier of real and synthetic records.

    Attributes
    ----------
    auc : 0.5 if the records are indistinguishable; values below 0.5 are noise.
    low, high : 95 % interval, by resampling pairs.
    """

    auc: float
    low: float
    high: float


@one_thread()
def paired_auc(
    real: np.ndarray,
    synthetic: np.ndarray,
    weights: np.ndarray | None = None,
    seed: int = 0,
) -> PairedAUC:
    """Train boosted trees to distinguish real from synthetic rows, keeping each pair in one fold.

    A plain cross-validated AUC is biased if both samples share their conditions: a tree that has seen a
    row learns that its twin has the other label. Row i of `synthetic` must therefore have been drawn for
    the conditions of row i of `real`, and both are tested by a model that saw neither (classifier
    two-sample test; Lopez-Paz and Oquab 2017, ICLR). The draws must be independent; stratified draws
    make the folds depend on each other.

    Parameters
    ----------
    real, synthetic : (n, k) numbers, NaN if missing.
    weights : (n,) survey weights, or None for equal weights.
    seed : of folds, trees and resampling.
    """
    from sklearn.metrics import roc_auc_score

    n = len(real)
    rng = np.random.default_rng(seed)
    fold = rng.permutation(np.arange(n) % FOLDS)
    w = np.ones(n) if weights is None else weights / weights.mean()
    scores = np.empty((2, n))
    for k in range(FOLDS):
        train, test = fold != k, fold == k
        model = _trees(seed, max_iter=100)
        labels = np.repeat([0, 1], train.sum())
        model.fit(
            np.concatenate([real[train], synthetic[train]]),
            labels,
            sample_weight=np.tile(w[train], 2),
        )
        for row, part in enumerate((real, synthetic)):
            scores[row, test] = model.predict_proba(part[test])[:, 1]

    def auc_of(rows: np.ndarray) -> float:
        labels = np.repeat([0, 1], len(rows))
        return float(
            roc_auc_score(labels, scores[:, rows].ravel(), sample_weight=np.tile(w[rows], 2))
        )

    resampled = [auc_of(rng.integers(0, n, n)) for _ in range(RESAMPLES)]
    low, high = np.quantile(resampled, [0.025, 0.975])
    return PairedAUC(auc_of(np.arange(n)), float(low), float(high))


@one_thread()
def out_of_fold_probabilities(
    real: np.ndarray,
    synthetic: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray],
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return the probability of being synthetic of real (n,) and synthetic rows (m,), and the weights.

    Boosted trees are trained on other rows than those to which they give probabilities; both kinds weigh the
    same in total.
    """
    data = _binned(np.concatenate([real, synthetic]), GROUP_BINS)
    labels = np.repeat([0, 1], [len(real), len(synthetic)])
    both = np.concatenate([w / w.sum() for w in weights]) * len(data) / 2
    folds = np.random.default_rng(seed).permutation(np.arange(len(data)) % GROUP_FOLDS)
    found = np.empty(len(data))
    for k in range(GROUP_FOLDS):
        train, test = folds != k, folds == k
        model = _trees(seed, max_iter=40, max_bins=GROUP_BINS)
        model.fit(data[train], labels[train], sample_weight=both[train])
        found[test] = model.predict_proba(data[test])[:, 1]
    return found[: len(real)], found[len(real) :], weights


def _trees(seed: int, max_iter: int, max_bins: int = 255) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=max_iter, learning_rate=0.08, max_leaf_nodes=15, min_samples_leaf=20,
        l2_regularization=1.0, random_state=seed, max_bins=max_bins,
    )  # fmt: skip


@dataclass(frozen=True)
class GroupedAUC:
    """Area under the ROC curve of a classifier of real and synthetic records, and its standard error."""

    auc: float
    error: float


@one_thread()
def grouped_auc(
    real: np.ndarray,
    synthetic: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray],
    groups: np.ndarray,
    seed: int = 0,
) -> GroupedAUC:
    """Train boosted trees to distinguish real from synthetic rows, keeping each group in one fold.

    For synthetic records that share conditions with real ones without being paired: with the conditions as
    groups, no tree is tested on rows whose twins it has seen (see `paired_auc`).

    Parameters
    ----------
    real, synthetic : (n, k) and (m, k) numbers, NaN if missing.
    weights : of the real (n,) and of the synthetic rows (m,).
    groups : (n + m,) number of each row's group, real rows first.
    seed : of folds and trees.

    Returns
    -------
    The area over all held-out rows; 0.5 if they are indistinguishable. The standard error is that of a
    score without information (Mann and Whitney 1947), with Kish's effective numbers of rows.
    """
    from sklearn.metrics import roc_auc_score

    data = _binned(np.concatenate([real, synthetic]), GROUP_BINS)
    labels = np.repeat([0, 1], [len(real), len(synthetic)])
    sample_weight = np.concatenate([w / w.sum() for w in weights])
    sample_weight *= len(data) / sample_weight.sum()
    folds = np.random.default_rng(seed).integers(0, GROUP_FOLDS, int(groups.max()) + 1)[groups]
    aucs, sizes = [], []
    for k in range(GROUP_FOLDS):
        train, test = folds != k, folds == k
        if min(len(np.unique(labels[train])), len(np.unique(labels[test]))) < 2:
            continue
        model = _trees(seed, max_iter=40, max_bins=GROUP_BINS).fit(
            data[train], labels[train], sample_weight=sample_weight[train]
        )
        scores = model.predict_proba(data[test])[:, 1]
        aucs.append(roc_auc_score(labels[test], scores, sample_weight=sample_weight[test]))
        sizes.append(int(test.sum()))
    n, m = (float(w.sum() ** 2 / np.square(w).sum()) for w in weights)
    error = float(np.sqrt((n + m + 1) / (12 * n * m)))
    # a model per fold: scores of different folds are not comparable
    return GroupedAUC(float(np.average(aucs, weights=sizes)) if aucs else 0.5, error)


def _binned(data: np.ndarray, bins: int) -> np.ndarray:
    """Return the columns of `data` (n, k) as numbers of at most so many bins with about equally many rows.

    The trees look at bins anyway, but finding them anew in every fold, with weights, takes most of the time.
    Missing values stay missing.
    """
    binned = np.empty(data.shape)
    for j, column in enumerate(data.T):
        edges = np.unique(np.nanquantile(column, np.linspace(0, 1, bins + 1)[1:-1]))
        binned[:, j] = np.where(np.isnan(column), np.nan, np.searchsorted(edges, column, "left"))
    return binned


@one_thread()
def coverage(real: np.ndarray, synthetic: np.ndarray, neighbours: int = 5) -> float:
    """Return the share of real records with a synthetic record nearby.

    "Coverage" of Naeem et al. (2020, ICML): a real record is covered if a synthetic one lies within the
    distance to its `neighbours`-th nearest real record. Columns are replaced by ranks among the real
    values, so that units of measurement do not matter.

    Parameters
    ----------
    real, synthetic : (n, k) and (m, k) numbers.
    """
    from sklearn.neighbors import NearestNeighbors

    a, b = rank_scale(real, real), rank_scale(real, synthetic)
    radius = NearestNeighbors(n_neighbors=neighbours + 1).fit(a).kneighbors(a)[0][:, -1]
    nearest = NearestNeighbors(n_neighbors=1).fit(b).kneighbors(a)[0][:, 0]
    return float(np.mean(nearest <= radius))


def rank_scale(reference: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Return the columns of `data` as mid-ranks in `reference`, divided by the ranks' deviation.

    Ranks of a column that is constant in `reference` are not divided, since their deviation is zero.

    Parameters
    ----------
    reference, data : (n, k) and (m, k) numbers.
    """
    out = np.empty(data.shape)
    for j in range(data.shape[1]):
        ordered = np.sort(reference[:, j])
        ranks = [
            (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right"))
            / (2 * len(ordered))
            for x in (reference[:, j], data[:, j])
        ]
        # a tiny number in place of a zero deviation would drown the other columns in rounding errors
        out[:, j] = ranks[1] / (float(ranks[0].std()) or 1.0)
    return out
