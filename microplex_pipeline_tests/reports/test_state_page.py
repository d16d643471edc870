import json

import polars as pl
import pytest

from microplex_pipeline.reports import state_page
from microplex_pipeline.survey import SurveySchema
from microplex_pipeline_tests.reports.reading import Page


@pytest.fixture(scope="module")
def html(frames, schema, boundaries):
    return state_page("RI", 2014, schema, *frames, seeds={"flow": 7}, boundaries=boundaries)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_page_has_its_sections_charts_and_tables(page):
    assert page.headings == [
        "Rhode Island 2014", "What went in", "Fidelity", "Targets", "Weights", "Counties",
        "Disclosure", "Provenance",
    ]  # fmt: skip
    assert len(page.captions) == 6
    assert "Histogram of the ratio of calibrated to design weight of 865 households" in str(
        page.labels
    )
    assert any(label.startswith("Distribution of wages: survey") for label in page.labels)
    assert page.tags.count("svg") == len(page.labels) >= 12


def test_the_numbers_are_those_of_the_frames(page, frames):
    _, calibrated, targets, fidelity, _, counties, _ = frames
    snap = fidelity.filter(pl.col("variable") == "snap").row(0, named=True)
    assert page.row("snap")[7] == f"{snap['mean_synthetic']:,.0f}"
    missed = page.row("wages (tax_unit sum)")
    assert missed[2:5] == [
        f"{targets['value'][1]:,.0f}", f"{targets['achieved'][1]:,.0f}", "+2.000\u202f%",
    ]  # fmt: skip
    assert page.row("n_persons (tax_unit sum)")[4] == "exact"
    assert page.row("44007")[1] == "Providence"
    assert page.row("44007")[3] == f"{counties['published'][3]:,.0f}"
    assert page.row("copies")[1:3] == ["0.125\u202f%", "0.100\u202f%"]
    households = calibrated.unique("household_id")["weight"]
    effective = households.sum() ** 2 / (households**2).sum()
    assert page.row("calibrated")[3] == f"{effective:,.0f}"


def test_a_missed_target_is_said_first(html):
    assert "1 of 2 targets are missed" in html
    targets = html[html.index("Targets, worst first") :]
    assert targets.index("wages (tax_unit sum)") < targets.index("n_persons (tax_unit sum)")
    assert '<tr class="marked">' in targets


def test_provenance_seeds_and_versions_are_told(html, page):
    assert "Census Bureau" in html or "Census PEP" in html
    assert "(figures of 2014)" in html
    assert "<dt>flow</dt><dd>7</dd>" in html
    for package in ("microplex-pipeline", "dagster", "torch", "polars", "duckdb", "scipy"):
        assert f"<dt>{package}</dt>" in html


def test_what_the_data_say_is_never_markup(html, page):
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<img" not in html
    assert page.tags.count("script") == 1


def test_the_page_needs_nothing_but_itself(html, page):
    assert all(address.startswith("#") for address in page.addresses)
    assert not {"link", "iframe", "img", "object", "embed", "base"} & set(page.tags)
    for loader in ("http://", "https://", "@import", "url(h", "url(/", "/tmp", "/home", "fetch("):
        assert loader not in html
    assert len(html.encode()) < 1_500_000


def test_names_within_pictures_are_not_shared(html):
    names = [part.split('"')[0] for part in html.split(' id="c')[1:]]
    clips = [name for name in names if "-part" in name]
    assert len(clips) == len(set(clips)) > 0


def test_same_inputs_give_the_same_bytes(html, frames, schema, boundaries):
    again = state_page("RI", 2014, schema, *frames, seeds={"flow": 7}, boundaries=boundaries)
    assert again == html


def test_an_aged_year_is_said(frames, schema, boundaries):
    html = state_page("RI", 2018, schema, *frames, seeds={}, boundaries=boundaries)
    assert "surveyed for 2014 and aged to 2018" in html
    assert "Not recorded" in html


def test_hostile_target_names_do_not_escape_from_charts(frames, schema, boundaries):
    survey, calibrated, targets, *rest = frames
    hostile = "</svg><script>alert(2)</script>"
    targets = targets.with_columns(
        domain=pl.lit("all"), kind=pl.lit(hostile), entity=pl.lit(hostile)
    )
    html = state_page(
        "RI", 2014, schema, survey, calibrated, targets, *rest, seeds={}, boundaries=boundaries
    )
    assert "<script>alert" not in html
    Page(html)


def test_hostile_words_of_surveys_come_out_escaped(frames, schema, boundaries):
    hostile = "</script></svg><script>alert(3)</script>"
    text = schema.model_dump_json().replace('"alimony_received"', json.dumps(hostile))
    schema = SurveySchema.model_validate_json(text).model_copy(update={"title": hostile})
    survey, calibrated, targets, fidelity, disclosure, counties, tolerance = frames
    html = state_page(
        "RI",
        2014,
        schema,
        survey.rename({"alimony_received": hostile}),
        calibrated.rename({"alimony_received": hostile}),
        targets.with_columns(note=pl.lit(hostile)),
        fidelity.with_columns(pl.col("variable").replace({"alimony_received": hostile})),
        disclosure,
        counties.with_columns(target=pl.lit(hostile), source=pl.lit(hostile)),
        tolerance,
        seeds={hostile: 1},
        boundaries=boundaries,
    )
    assert "alert(3)" in html
    assert "<script>alert" not in html
    assert Page(html).tags.count("script") == 1
