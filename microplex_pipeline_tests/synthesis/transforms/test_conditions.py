import numpy as np
import polars as pl
import pytest

from microplex_pipeline.synthesis.transforms.conditions import fit_condition


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("c", [1, 2, 3, 2]),
        pl.Series("c", list(range(100))),
        pl.Series("c", [0.0] * 50 + [1.5 * i for i in range(50)]),
        pl.Series("c", ["north", "south", None, "north"]),
        pl.Series("c", ["north", "south"], dtype=pl.Categorical),
        pl.Series("c", [True, False, True]),
        pl.Series("c", [1.0, None, 3.0]),
        pl.Series("c", [float("nan"), 2.0, 3.0]),
        pl.Series("c", [7, 7, 7]),
    ],
    ids=lambda c: f"{c.dtype}-{len(c)}-{c.null_count()}",
)
def test_encodings_are_finite_and_differ_between_values(column):
    encoding = fit_condition(column)
    encoded = encoding.encode(column)
    assert encoded.dtype == np.float32
    assert np.isfinite(encoded).all()
    texts = column.cast(pl.String).to_list()
    for i, text in enumerate(texts):
        same = np.array([t == text for t in texts])
        assert (encoded[same] == encoded[i]).all()
        assert (encoded[~same] != encoded[i]).any(axis=1).all()


def test_unseen_category_is_named():
    encoding = fit_condition(pl.Series("region", ["north", "south"]))
    with pytest.raises(
        ValueError, match=r"'region' has categories .* not occur in training: 'west'"
    ):
        encoding.encode(pl.Series("region", ["north", "west"]))


def test_a_condition_missing_only_after_training_is_named():
    encoding = fit_condition(pl.Series("age", [30, 40, 50]))
    with pytest.raises(ValueError, match="'age' is missing in 1 rows"):
        encoding.encode(pl.Series("age", [30, None]))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series("c", [None, None], dtype=pl.Int64), "missing in every row"),
        (pl.Series("c", [1.0, float("inf")]), "infinite"),
        (pl.Series("c", [1.0, 1e200]), r"beyond 1e\+100"),
        (pl.Series("c", [[1], [2]]), "use numbers or text"),
    ],
)
def test_unusable_columns_are_refused(column, message):
    with pytest.raises(ValueError, match=message):
        fit_condition(column)


def test_a_numeric_condition_must_stay_numeric():
    encoding = fit_condition(pl.Series("age", range(50)))
    with pytest.raises(ValueError, match="'age' was numeric in training and has type Date here"):
        encoding.encode(pl.Series("age", ["2020-01-01"]).str.to_date())


def test_encodings_far_outside_the_training_range_are_finite():
    encoding = fit_condition(pl.Series("age", range(50)))
    encoded = encoding.encode(pl.Series("age", [1e300, -1e300, 1.7e308]))
    assert np.isfinite(encoded).all()
