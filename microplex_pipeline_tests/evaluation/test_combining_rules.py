"""Combining rules of implicates, against their formulas and simulated files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from microplex_pipeline.evaluation.combining_rules import combine_implicates

FILES = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0.01, 10)), min_size=2, max_size=20)


@given(FILES)
def test_partially_synthetic_files_follow_reiter(files):
    q, u = np.array(files).T
    found = combine_implicates(q, u, "partially")
    m, between = len(q), q.var(ddof=1)
    assert found.standard_error**2 == pytest.approx(between / m + u.mean())
    if between > 1e-9:
        r = m * u.mean() / between
        assert found.df == pytest.approx((m - 1) * (1 + r) ** 2)
        half = stats.t.ppf(0.975, found.df) * found.standard_error
        assert found.high - q.mean() == pytest.approx(half)


@given(FILES, st.floats(0.5, 8))
def test_fully_synthetic_files_follow_raghunathan_reiter_and_rubin(files, ratio):
    q, u = np.array(files).T
    found = combine_implicates(q, u, "fully", size_ratio=ratio)
    m, between = len(q), q.var(ddof=1)
    variance = (1 + 1 / m) * between - u.mean()
    expected = variance if variance > 0 else ratio * u.mean()
    assert found.standard_error**2 == pytest.approx(expected)
    assert found.df > 0


@given(FILES)
def test_imputed_files_follow_rubin(files):
    q, u = np.array(files).T
    found = combine_implicates(q, u, "imputed")
    m, between = len(q), q.var(ddof=1)
    assert found.standard_error**2 == pytest.approx((1 + 1 / m) * between + u.mean())
    if between > 1e-9:
        r = (1 + 1 / m) * between / u.mean()
        assert found.df == pytest.approx((m - 1) * (1 + 1 / r) ** 2)


@pytest.mark.parametrize("kind", ["fully", "partially", "imputed"])
def test_intervals_hold_the_truth(kind):
    """The mean of a normal population; all or half of the records are drawn from its posterior.

    Where values are missing, only the others are known.
    """
    rng = np.random.default_rng(3)
    n, m, trials, held = 100, 100, 1000, 0
    for _ in range(trials):
        sample = rng.normal(1, 2, n)
        kept, replaced = (sample[:0], sample) if kind == "fully" else np.split(sample, 2)
        known = kept if kind == "imputed" else replaced
        spread = 2 / len(known) ** 0.5
        posterior = rng.normal(known.mean(), spread, (m, 1))
        drawn = rng.normal(posterior, 2, (m, len(replaced)))
        drawn = np.hstack([np.broadcast_to(kept, (m, len(kept))), drawn])
        found = combine_implicates(drawn.mean(1), drawn.var(1, ddof=1) / n, kind)
        held += found.low <= 1 <= found.high
    assert 0.92 <= held / trials <= 0.985


@pytest.mark.parametrize(
    ("estimates", "variances", "kind", "message"),
    [
        ([1.0], [1.0], "fully", "at least two files"),
        ([1.0, 2.0], [1.0], "fully", "at least two files"),
        ([1.0, float("nan")], [1.0, 1.0], "fully", "finite"),
        ([1.0, 2.0], [1.0, -1.0], "fully", "not negative"),
        ([1.0, 2.0], [1.0, 1.0], "half", "'fully', 'partially' or 'imputed'"),
    ],
)
def test_unusable_implicates_are_refused(estimates, variances, kind, message):
    with pytest.raises(ValueError, match=message):
        combine_implicates(estimates, variances, kind)
