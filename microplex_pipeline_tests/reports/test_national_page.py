import polars as pl
import pytest

from microplex_pipeline.reports import national_page
from microplex_pipeline.reports.geography import FIPS
from microplex_pipeline_tests.reports.reading import Page


@pytest.fixture(scope="module")
def states(summary):
    vermont = {**summary, "state": "VT", "targets_met": summary["targets"], "mean_ks": 0.02}
    return pl.DataFrame([vermont, {**summary, "state": "RI"}])


@pytest.fixture(scope="module")
def html(states, results, boundaries):
    return national_page(2014, states, results.counties, results.tolerance, boundaries)


def test_built_and_missing_states_are_listed(html):
    page = Page(html)
    assert page.headings == [
        "The states in 2014",
        "Maps",
        "States",
        "Counties",
        "Not built",
        "Versions of packages",
    ]
    assert "2 of 51 states are built" in html
    missing = html[html.index("49 states have no report of 2014 yet") :]
    assert "California" in missing
    assert "Vermont" not in missing
    assert page.tags.count("svg") == len(page.labels) == 4


def test_states_link_to_their_pages_in_the_same_folder(html, summary):
    page = Page(html)
    assert [a for a in page.addresses if not a.startswith("#")] == ["RI.html", "VT.html"]
    assert page.row("VT")[1] == "Vermont"
    assert page.row("VT")[9] == "0.0200"
    assert page.row("RI")[2] == f"{summary['respondents']:,}"
    assert html.count('<tr class="marked">') == 1  # Rhode Island misses a target


def test_the_page_is_self_contained_and_reproducible(html, states, results, boundaries):
    assert not any(loader in html for loader in ("http://", "https://", "url(h", "fetch("))
    assert national_page(2014, states, results.counties, results.tolerance, boundaries) == html


def test_a_whole_nation_fits_into_a_page(states, results, boundaries):
    everywhere = pl.concat([states[:1].with_columns(state=pl.lit(code)) for code in sorted(FIPS)])
    html = national_page(2014, everywhere, results.counties, results.tolerance, boundaries)
    assert "Not built" not in html
    assert "51 of 51" in html
    assert len(html.encode()) < 1_500_000
