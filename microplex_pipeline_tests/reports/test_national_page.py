import polars as pl
import pytest

from microplex_pipeline.reports import national_page
from microplex_pipeline.reports.geography import FIPS
from microplex_pipeline_tests.reports.reading import Page


@pytest.fixture(scope="module")
def states(summary):
    vermont = {
        **summary,
        "state": "VT",
        "targets_met": summary["targets"],
        "failed_checks": "",
        "checks_failed": 0,
    }
    return pl.DataFrame([vermont, {**summary, "state": "RI"}])


@pytest.fixture(scope="module")
def write(results, words, boundaries):
    def write(states):
        official = pl.concat(
            results.official.with_columns(state=pl.lit(state)) for state in states["state"]
        )
        return national_page(
            2014, states, results.counties, official, results.tolerance, words, boundaries
        )

    return write


@pytest.fixture(scope="module")
def html(states, write):
    return write(states)


def test_built_and_missing_states_are_listed(html):
    page = Page(html)
    assert page.headings == [
        "The states in 2014",
        "Official figures",
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
    assert page.row("VT")[-1] == "\u2013"
    assert page.row("RI")[-1] == "targets_met, weights_even"
    assert page.row("RI")[2] == f"{summary['respondents']:,}"
    table = html[html.index("<caption>States, with links") :]
    assert table.count('<tr class="marked">') == 1  # Rhode Island misses a target


def test_sums_over_states_are_beside_official_sums(html, results):
    row = next(r for r in Page(html).rows if r[0].startswith("Householdshousehold count"))
    assert row[1] == "2"
    assert row[2] == f"{2 * 410_347:,}"
    assert row[5] == "no"
    assert "In 1 of 2 states not all checks passed: RI." in " ".join(html.split())


def test_the_page_is_self_contained_and_reproducible(html, states, write):
    assert not any(loader in html for loader in ("http://", "https://", "url(h", "fetch("))
    assert write(states) == html


def test_a_whole_nation_fits_into_a_page(states, write):
    everywhere = pl.concat([states[:1].with_columns(state=pl.lit(code)) for code in sorted(FIPS)])
    html = write(everywhere)
    assert "Not built" not in html
    assert "51 of 51" in html
    assert len(html.encode()) < 1_500_000
