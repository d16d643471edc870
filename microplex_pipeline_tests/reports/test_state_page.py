import json
import re
from dataclasses import replace

import polars as pl
import pytest

from microplex_pipeline.evaluation.amount_fidelity import BEYOND, DOUBTFUL
from microplex_pipeline.evaluation.cost_of_bounds import CostOfBounds
from microplex_pipeline.evaluation.diagnostics import target_errors
from microplex_pipeline.reports import Provenance, state_page
from microplex_pipeline.survey import SurveySchema
from microplex_pipeline_tests.reports.reading import Page

NOTHING = Provenance()
MADE_FROM = Provenance(
    {"cps_tax_units.parquet": "0123456789abcdef0123"},
    {"seed": 3, "population": {"households": 0}},
    {"flow": "1"},
    "c0ffee",
    {"flow": 7},
)


@pytest.fixture(scope="module")
def write(schema, words, boundaries, citations):
    """Return a function that writes Rhode Island's page."""

    def write(results, year=2014, provenance=NOTHING):
        return state_page(
            "RI",
            year,
            results,
            title=schema.title,
            words=words,
            provenance=provenance,
            boundaries=boundaries,
            citations=citations,
        )

    return write


@pytest.fixture(scope="module")
def html(write, results):
    return write(results, provenance=MADE_FROM)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_page_has_its_sections_charts_and_tables(page):
    assert page.headings == [
        "Rhode Island 2014", "Verdict", "Input data", "What this file must not be used for", "Checks",
        "Fidelity", "Joint distributions", "Targets", "Held-out targets", "Official figures", "Weights",
        "Totals that rest on few records", "Counties", "Disclosure", "Provenance",
    ]  # fmt: skip
    assert len(page.captions) == 15
    assert "Histogram of the ratio of calibrated to design weight of 865 households" in str(
        page.labels
    )
    assert any(
        label.startswith("Distribution of wages and salaries among holders: survey")
        for label in page.labels
    )
    assert page.tags.count("svg") == len(page.labels) >= 12


def test_the_numbers_are_those_of_the_results(page, results):
    targets = results.targets
    snap = results.fidelity.filter(pl.col("variable") == "snap").row(0, named=True)
    means = next(r for r in page.rows if r[0] == "Food assistance (SNAP)snap" and len(r) == 9)
    assert means[2] == f"{snap['mean']:,.0f} \u00b1\u202f{snap['mean_error']:,.0f}"
    assert means[5] == (f"{snap['total'] / 1e6:,.0f} \u00b1\u202f{snap['total_error'] / 1e6:,.1f}")
    missed = page.row("Wages and salaries, totaltax_unit sum wages [all]")
    assert missed[1:6] == [
        "survey's own", "dollars a year",
        f"{targets['value'][1]:,.0f}", f"{targets['achieved'][1]:,.0f}", "+2.000\u202f%",
    ]  # fmt: skip
    assert page.row("Personstax_unit sum n_persons [all]")[5] == "exact"
    assert page.row("44007")[1] == "Providence"
    assert page.row("44007")[3] == f"{results.counties['published'][3]:,.0f}"
    assert page.row(
        "synthetic units identical to a respondent in every column, with two or more amountscopies"
    )[1:3] == [
        "0.125\u202f%",
        "0.100\u202f%",
    ]
    households = results.calibrated.unique("household_id")["weight"]
    effective = households.sum() ** 2 / (households**2).sum()
    assert page.row("calibrated")[3] == f"{effective:,.0f}"


def test_the_sampling_error_of_the_survey_is_mentioned(html):
    assert re.search(r"sampling error of the\s+865 surveyed households", html)


def test_missed_targets_come_first(html):
    assert "1 of 2 are missed by more than 0.1" in html
    targets = html[html.rindex("Targets, worst first") :]
    assert targets.index("tax_unit sum wages [all]") < targets.index(
        "tax_unit sum n_persons [all]"
    )
    assert '<tr class="marked">' in targets


def test_provenance_seeds_and_versions_are_shown(html, page):
    assert "Census Bureau" in html or "Census PEP" in html
    assert "(figures of 2014)" in html
    assert "<dt>flow</dt><dd>7</dd>" in html
    for package in ("microplex-pipeline", "dagster", "torch", "polars", "duckdb", "scipy"):
        assert f"<dt>{package}</dt>" in html


def test_text_of_the_data_is_escaped(html, page):
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<img" not in html
    assert page.tags.count("script") == 1


def test_the_page_is_self_contained(html, page):
    assert all(address.startswith("#") for address in page.addresses)
    assert not {"link", "iframe", "img", "object", "embed", "base"} & set(page.tags)
    for loader in ("http://", "https://", "@import", "url(h", "url(/", "/tmp", "/home", "fetch("):
        assert loader not in html
    assert len(html.encode()) < 1_500_000


def test_ids_within_charts_are_unique(html):
    names = [part.split('"')[0] for part in html.split(' id="c')[1:]]
    clips = [name for name in names if "-part" in name]
    assert len(clips) == len(set(clips)) > 0


def test_the_same_inputs_give_the_same_bytes(html, results, write):
    again = write(results, provenance=MADE_FROM)
    assert again == html


def test_sentences_are_separated_by_a_space(html):
    assert "are not aged. A tax unit consists" in " ".join(html.split())


def test_an_aged_year_is_mentioned(results, write):
    html = write(results, year=2018)
    assert "surveyed for 2014 and aged to 2018" in html
    assert "The run history has no record" in html


def test_hostile_target_names_are_escaped_in_charts(results, write):
    hostile = "</svg><script>alert(2)</script>"
    targets = results.targets.with_columns(
        target=pl.format(f"{hostile.replace(' ', '')} sum {{}} [all]", "variable"),
        kind=pl.lit(hostile),
    )
    html = write(replace(results, targets=targets))
    assert "<script>alert" not in html
    Page(html)


def test_hostile_titles_and_columns_are_escaped(results, schema, words, boundaries, citations):
    hostile = "</script></svg><script>alert(3)</script>"
    text = schema.model_dump_json().replace('"alimony_received"', json.dumps(hostile))
    schema = SurveySchema.model_validate_json(text).model_copy(update={"title": hostile})
    spoiled = replace(
        results,
        schema=schema,
        survey=results.survey.rename({"alimony_received": hostile}),
        calibrated=results.calibrated.rename({"alimony_received": hostile}),
        targets=results.targets.with_columns(note=pl.lit(hostile)),
        fidelity=results.fidelity.with_columns(
            pl.col("variable").replace({"alimony_received": hostile})
        ),
        counties=results.counties.with_columns(target=pl.lit(hostile), source=pl.lit(hostile)),
    )
    html = state_page(
        "RI",
        2014,
        spoiled,
        title=schema.title,
        words=words,
        provenance=Provenance(
            {hostile: hostile}, {hostile: hostile}, {hostile: "1"}, hostile, {hostile: 1}
        ),
        boundaries=boundaries,
        citations=citations,
    )
    assert "alert(3)" in html
    assert "<script>alert" not in html
    assert Page(html).tags.count("script") == 1


def test_no_row_begins_with_a_name_of_the_warehouse(page):
    # the name in small type follows the words, so no cell begins with it
    firsts = {row[0] for row in page.rows if len(row) > 3}
    assert not [first for first in firsts if re.match(r"[a-z]+_", first)]


def test_kinds_and_units_of_targets_are_explained(html, page):
    for kind in ("<b>published</b>", "<b>published shares</b>", "<b>the survey's own</b>"):
        assert kind in html
    assert html.count(">dollars a year</text>") == sum(
        label.startswith("Distribution of") for label in page.labels
    )


def test_a_note_that_many_targets_share_is_shown_once(results, write):
    shared = "2013 shares of 466,114 households; published are 410,347"
    html = write(replace(results, targets=results.targets.with_columns(note=pl.lit(shared))))
    assert html.count(shared) == 1
    assert f"Note 1: {shared}" in html
    assert [
        row[7] for row in Page(html).rows if row[0].startswith("Persons") and len(row) == 8
    ] == ["see note 1"]


def test_brackets_are_sorted_from_low_to_high(results, write):
    brackets = ["<=9999", "10000-99999", "100000+", "9999-10000"]
    asked = pl.DataFrame(
        {
            "entity": "household",
            "measure": "count",
            "variable": "households",
            "domain": [f"household_income:{b}" for b in brackets],
            "value": 1.0,
            "kind": "published",
            "source": "ACS",
            "note": pl.Series([None] * 4, dtype=pl.String),
        }
    )
    errors = target_errors(results.calibrated, asked, "weight", "household_id")
    errors = errors.with_columns(achieved=pl.col("value"), relative_error=0.0, pull=0.0)
    html = write(replace(results, targets=errors))
    texts = [row[0].split("household count")[0] for row in Page(html).rows]
    assert [text for text in texts if text.startswith("Households with")] == [
        "Households with income of $9,999 or less",
        "Households with income of $9,999 to $10,000",
        "Households with income of $10,000 to $99,999",
        "Households with income of $100,000 or more",
    ]


def first_screen(html):
    return " ".join(html[html.index("<header>") : html.index("</header>")].split())


def test_the_first_screen_says_what_is_wrong(html):
    top = first_screen(html)
    assert "2 of 3 checks did not pass: targets met, weights even." in top
    assert "1 is a published total, 1 is the survey&#39;s own total" in top
    assert re.search(
        r"households, [\d.]+ % more than the published 410,347 \(ACS 2011-2013\)", top
    )
    assert "1 of 2 joint measures are beyond sampling" in top
    assert "0.125 %" in top
    assert "surveyed: 865" in top


def test_shares_of_an_unpublished_count_are_named_apart(results, write):
    kinds = results.targets.with_columns(kind=pl.lit("share"))
    top = first_screen(write(replace(results, targets=kinds)))
    assert "2 are published shares of a count that is not published" in top
    assert "published total" not in top


def test_amounts_are_marked_by_their_verdict(results, write):
    worse = results.fidelity.with_columns(
        verdict=pl.when(pl.col("variable") == "snap")
        .then(pl.lit(BEYOND))
        .when(pl.col("variable") == "ssi")
        .then(pl.lit(DOUBTFUL))
        .otherwise("verdict")
    )
    html = write(replace(results, fidelity=worse))
    top = first_screen(html)
    assert re.search(r"headline amounts differ .* \(.*Food assistance \(SNAP\)", top)
    assert "doubtful (" in top
    table = html[html.index("Who has an amount") :]
    assert re.search(r'<tr class="marked">\s*<th[^>]*>Food assistance', table)
    assert re.search(r'<tr class="doubtful">\s*<th[^>]*>Supplemental', table)


def test_checks_that_did_not_pass_come_first_and_are_escaped(html, page):
    table = html[html.index("<caption>Checks") :]
    assert (
        table.index("targets_met") < table.index("weights_even") < table.index("counties_add_up")
    )
    assert page.row("targets_met")[1] == "failed"
    assert page.row("weights_even")[1] == "warning"
    assert "&lt;b&gt;missed&lt;/b&gt;" in html


def test_the_limits_of_the_survey_are_those_of_its_schema(html, schema, results, write):
    assert len(schema.limits) > 5
    for limit in schema.limits:
        assert limit.topic in html
    without = replace(results, schema=schema.model_copy(update={"limits": []}))
    assert "states no limits" in write(without)


def test_a_target_is_met_within_its_standard_errors(results, write, html):
    assert "1 of 2 are missed" in html
    uncertain = results.targets.with_columns(z=pl.Series([None, 2.0]))
    html = write(replace(results, targets=uncertain))
    assert "All 2 are met within" in html
    row = Page(html).row("Wages and salaries, totaltax_unit sum wages [all]")
    assert row[5:7] == ["+2.000\u202f%", "+2.0"]


def test_held_out_targets_have_the_mean_errors_of_their_family(page):
    assert page.row("Persons by age") == [
        "Persons by age", "2", "3.0\u202f%", "1.5\u202f%", "4.0\u202f%",
    ]  # fmt: skip
    assert page.row("The survey's amounts")[2:4] == ["5.0\u202f%", "\u2013"]


def test_the_cost_of_a_cap_is_told(results, write, html):
    assert "No cap is set" in html
    summary = {"design_effect": 1.5, "smallest_ratio": 0.1, "largest_ratio": 9.0}
    cost = CostOfBounds((0.2, 5.0), 12, {**summary, "largest_ratio": 5.0}, summary, ["pay [all]"])
    capped = " ".join(write(replace(results, cost=cost)).split())
    assert "12 households are at a bound" in capped
    assert "1 targets are missed because of it: pay [all]" in capped


def test_what_the_page_was_made_from_is_shown(html, page):
    assert page.row("cps_tax_units.parquet")[1] == "0123456789abcdef"
    assert "<dt>population.households</dt><dd>0</dd>" in html
    assert "commit c0ffee" in html
    assert "co-est2019-alldata" in html
    assert "www.census.gov/programs-surveys/popest.html" in html
