"""microplex targets check: what is targeted, before anything is built."""

import shutil

import pytest

from microplex_pipeline_tests.conftest import DATA


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A copy of the data without large files that the check of a state does not need."""
    folder = tmp_path / "data"
    shutil.copytree(DATA, folder, ignore=shutil.ignore_patterns("acs_area", "geography"))
    monkeypatch.setenv("MICROPLEX_DATA", str(folder))
    monkeypatch.setenv("MICROPLEX_WAREHOUSE", str(tmp_path / "none.duckdb"))
    return folder / "targets"


def test_a_states_targets_are_shown_without_a_warehouse(microplex, files, tmp_path):
    result = microplex("targets", "check", "RI")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    (persons,) = [line for line in lines if line.startswith("tax_unit sum n_persons [all]")]
    assert persons.split()[4:] == ["1,055,936", "published", "exact", "+0.0", "%"]
    assert any(line.startswith("from Current Population Survey") for line in lines)
    assert any(
        line.startswith("RI 2014: 10 published, 10 share, 1 pooled, 23 modelled") for line in lines
    )
    assert not (tmp_path / "none.duckdb").exists()


def test_what_blocks_is_marked_and_makes_the_exit_code_1(microplex, files):
    file = files / "bundled_state_population_2010_2019.csv"
    file.write_text(file.read_text().replace("state,44,RI,2014", "state,44,RI,1914"))
    result = microplex("targets", "check", "RI", "VT")
    assert result.exit_code == 1
    assert "RI 2014: blocked\n  ! bundled_state_population_2010_2019.csv has persons of 2014" in (
        result.output
    )
    assert "VT 2014: 10 published, 10 share" in result.output


def test_broken_sources_end_with_one_message(microplex, files):
    file = files / "sources.yaml"
    file.write_text(file.read_text().replace("min_records", "min_recrods"))
    result = microplex("targets", "check", "RI")
    assert result.exit_code == 1
    assert result.output.startswith("Error: target sources sources.yaml is not valid: modelled")
    assert "Traceback" not in result.output
