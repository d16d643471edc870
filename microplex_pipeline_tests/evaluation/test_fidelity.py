import polars as pl
import pytest

from microplex_pipeline.evaluation.encoding import as_numbers
from microplex_pipeline.evaluation.fidelity import fidelity, totals_by_group

TARGETS = ["wages_head", "social_security"]


def test_synthetic_weights_are_scaled_to_the_real_population(rhode_island):
    half = rhode_island.with_columns(pl.col("weight") / 2)
    totals = totals_by_group(rhode_island, half, TARGETS, "age_head", "weight")
    assert totals["total_synthetic"].to_list() == pytest.approx(totals["total"].to_list())
    wages = totals.filter(pl.col("variable") == "wages_head")["total"].sum()
    assert wages == pytest.approx((rhode_island["weight"] * rhode_island["wages_head"]).sum())


def test_amounts_in_the_wrong_groups_are_an_error(rhode_island):
    shuffled = rhode_island.with_columns(pl.col("social_security").shuffle(seed=0))
    measures = [
        fidelity(rhode_island, s, TARGETS, ["age_head"], "weight", paired=False)
        for s in (rhode_island, shuffled)
    ]
    assert measures[0]["group_total_error"] == pytest.approx(0, abs=1e-12)
    assert measures[1]["group_total_error"] > 0.3
    assert measures[1]["ks"] < 0.1  # the marginal distribution is almost unchanged


def test_a_text_has_the_same_code_in_all_frames():
    a = pl.DataFrame({"region": ["north", "west", None], "age": [1, 2, 3]})
    b = pl.DataFrame({"region": ["west", "west", "south"], "age": [1, None, 3]})
    x, y = as_numbers((a, b), ["region", "age"])
    assert x[1, 0] == y[0, 0] == 2
    assert x[0, 0] == 0
    assert y[2, 0] == 1
    assert str(x[2, 0]) == str(y[1, 1]) == "nan"


def test_records_without_a_group_do_not_disturb_the_others():
    real = pl.DataFrame({"inc": range(50), "k": [float(i) for i in range(50)]})
    turned = real.with_columns(inc=49 - pl.col("inc"))
    gap = pl.when(pl.int_range(50) == 7).then(None).otherwise("k").alias("k")
    whole, holed = (
        fidelity(r, turned, ["inc"], ["k"], paired=False)["ks_within_groups"]
        for r in (real, real.with_columns(gap))
    )
    assert whole > 0.7
    assert holed > 0.6


def test_synthetic_amounts_without_real_ones_are_an_error():
    real = pl.DataFrame({"x": [0] * 20, "y": range(20), "k": range(20)})
    drawn = real.with_columns(x=pl.lit(5))
    assert fidelity(real, drawn, ["x", "y"], ["k"], paired=False)["group_total_error"] == 0.5
