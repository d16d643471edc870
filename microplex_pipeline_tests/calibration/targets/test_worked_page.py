"""docs/targets.md: its sources, with the files that it names, give targets that can be met."""

import re
import shutil
from functools import partial

import polars as pl
import pytest
import yaml

from microplex_pipeline.calibration import Reweighter, Targets
from microplex_pipeline.calibration.targets.precision import IS_EXACT
from microplex_pipeline.calibration.targets.published_areas import published_area_targets
from microplex_pipeline.calibration.targets.sources import Figures, load_target_sources
from microplex_pipeline.calibration.targets.state_targets import (
    Place,
    SurveyColumns,
    state_targets,
)
from microplex_pipeline.survey import (
    draw_ages,
    growth_of_item,
    pooled_total,
    prepare_survey,
    read_survey,
)
from microplex_pipeline_tests.conftest import CHECKOUT

PAGE = (CHECKOUT / "docs" / "targets.md").read_text("utf-8")
SHARED = CHECKOUT.parent / "shared" / "data" / "targets"


def with_page(sources):
    """The sources, with what the page adds beneath each key."""
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        for key, added in yaml.safe_load(block).items():
            if isinstance(added, dict):
                sources[key] |= added
            else:
                replaced = {source["name"] for source in added}
                kept = [source for source in sources[key] if source["name"] not in replaced]
                sources[key] = [*kept, *added]
    return sources


@pytest.fixture
def folder(data, tmp_path):
    sources = with_page(yaml.safe_load((data / "targets" / "sources.yaml").read_text()))
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump(sources, sort_keys=False))
    for source in (*sources["published"], *sources["areas"]):
        for file in source["files"]:
            place = SHARED if file.startswith("reference_") else data / "targets"
            if not (place / file).exists():
                pytest.skip(f"the page's file {file} is not in ../shared/data/targets")
            shutil.copyfile(place / file, tmp_path / file)
    return tmp_path


def test_the_pages_sources_give_targets_that_can_be_met(folder, data, schema):
    sources = load_target_sources(folder / "sources.yaml")
    survey = draw_ages(
        prepare_survey(read_survey(schema, data, "MD", 2014), schema, data), schema, seed=0
    )
    pooled = {
        p.name: pooled_total(schema, data, "MD", 2014, p.variable, p.level_of)
        for p in sources.pooled
    }
    growth = partial(growth_of_item, schema, data)
    place = Place(folder, data / "population_growth.csv", "MD", 2014, growth)
    columns = SurveyColumns("weight", "household_id", "n_persons", "survey")
    found = state_targets(survey, sources, place, columns, pooled)
    table = found.table
    assert table.filter(entity="person").height == 7
    assert table.filter(entity="person")["value"].sum() == pytest.approx(5_957_283, rel=1e-3)
    of_agi = table.filter(pl.col("domain").str.starts_with("agi:"))
    # the survey's own counts of the same classes give way, those of 200,000 and more do not
    assert of_agi.group_by("kind").len().sort("kind").rows() == [("modelled", 2), ("published", 8)]
    fitted = Reweighter(distance="raking", soft=True).fit(
        found.surveyed, Targets(table), "weight", household_id="household_id"
    )
    achieved = fitted.constraints_.achieved(fitted.solution_)
    exact = table.select(IS_EXACT).to_series().to_numpy()
    misses = achieved / table["value"].to_numpy() - 1
    assert abs(misses[exact]).max() < 1e-9
    published = of_agi.filter(kind="published")["domain"]
    assert abs(misses[table["domain"].is_in(published.to_list()).to_numpy()]).max() < 0.15


def test_a_county_file_of_one_state_leaves_the_others_alone(folder):
    sources = load_target_sources(folder / "sources.yaml")
    maryland = published_area_targets(sources, folder, "MD", 2014)
    assert maryland.filter(entity="household").height == 3 * 24
    assert published_area_targets(sources, folder, "RI", 2014)["entity"].unique().to_list() == [
        "tax_unit"
    ]


def test_the_page_names_every_key():
    table = PAGE.split("## All keys of a source")[1].split("\n## ")[0]
    keys = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    named = {name for cell in keys for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(Figures.model_fields)
