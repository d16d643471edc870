import pytest
import yaml

from microplex_pipeline.calibration.targets.preview import check_targets
from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.calibration.targets.state_targets import Place, SurveyColumns
from microplex_pipeline_tests.calibration.targets.target_table import no_growth

COLUMNS = SurveyColumns("weight", "household_id", "n_persons", "the survey")
HEAD = "geography_level,geoid,state,year,domain,value,source\n"


@pytest.fixture
def check(data, rhode_island, tmp_path):
    """Checks Rhode Island's targets with one more published source, of units, from lines of a file."""
    stored = yaml.safe_load((data / "targets" / "sources.yaml").read_text())
    for file in {f for s in (*stored["published"], *stored["areas"]) for f in s["files"]}:
        (tmp_path / file).symlink_to(data / "targets" / file)
    life_table = "life_table_1999_2001.csv"
    (tmp_path / life_table).symlink_to(data / "targets" / life_table)

    def of(*lines, max_z=3.0, **keys):
        if lines:
            rows = [f"state,44,RI,2014,{line},mine" for line in lines]
            (tmp_path / "mine.csv").write_text(HEAD + "\n".join(rows) + "\n")
            source = {"name": "mine", "files": ["mine.csv"], "entity": "units",
                      "measure": "count", "variable": "tax_units", **keys}  # fmt: skip
            stored["published"].append(source)
        (tmp_path / "sources.yaml").write_text(yaml.safe_dump(stored, sort_keys=False))
        place = Place(tmp_path, data / "population_growth.csv", "RI", 2014, no_growth)
        sources = load_target_sources(tmp_path / "sources.yaml")
        pooled = {p.name: 2.3e10 for p in sources.pooled}
        return check_targets(rhode_island, sources, place, COLUMNS, pooled, max_z)

    return of


def test_the_bundled_targets_can_be_met(check):
    found = check()
    assert not found.blocked
    assert found.table["z"].abs().max() < 3
    assert set(found.table["kind"]) == {"published", "share", "pooled", "modelled"}


def test_domains_without_a_record_block(check):
    found = check("age_head:<0,100")
    assert found.blocked
    assert (
        "no survey record of RI falls into: tax_unit count tax_units [age_head:<0]"
        in found.findings[0].what
    )


def test_parts_that_miss_their_total_are_named_with_the_difference(check):
    found = check("all,640000", "filing_status:1,300000", "filing_status:2-4,300000")
    assert any("add up to 600,000, the total is 640,000: they differ by -6.2 %" in f.what
               for f in found.findings)  # fmt: skip
    assert found.blocked  # by the solve, which names the three
    assert "cannot hold together" in found.findings[0].what


def test_a_part_larger_than_what_contains_it_is_named(check):
    found = check("age_head:65+,150000", "age_head:50+,140000")
    assert any("age_head:65+] = 150,000 is more than" in f.what and "+7.1 %" in f.what
               for f in found.findings)  # fmt: skip


def test_targets_far_outside_their_errors_are_named_with_what_pulls_against_them(check):
    found = check("filing_status:1,500000", relative_standard_error=0.02)
    (far,) = [
        f.what for f in found.findings if "standard errors" in f.what and "500,000" in f.what
    ]
    assert "pulls against it" in far
    assert not found.blocked


def test_unusable_sources_block_with_their_message(check):
    found = check("shoe_size:9,100")
    assert found.blocked
    assert found.table.is_empty()
    assert found.findings[0].what.startswith(
        "target sources, 'mine': the records have no column 'shoe_size'"
    )
