"""PopulationSim folders: read as they are, met, written alike, and refused with one message."""

import polars as pl
import pytest
from click.testing import CliRunner

from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline.calibration.popsim import populate, read_popsim, total_error
from microplex_pipeline.cli import main
from microplex_pipeline.data_files import DataFileError
from microplex_pipeline_tests.calibration.popsim.popsim_folder import write_popsim


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("popsim")
    write_popsim(path)
    return path


@pytest.fixture(scope="module")
def population(folder):
    return populate(read_popsim(folder), seed=1)


def test_controls_and_seed_are_read(folder):
    read = read_popsim(folder)
    assert read.controls["target"].to_list() == [
        "num_hh", "size_1", "size_2", "size_3_4", "poor", "children", "old", "people",
    ]  # fmt: skip
    assert read.controls["importance"][0] == 1e9
    own = read.households.join(read.incidence, on="hh_id")
    assert (own["num_hh"] == 1).all()
    assert (own["size_3_4"] == (own["NP"] >= 3)).all()
    assert (own["people"] == own["NP"]).all()
    counted = read.persons.group_by("hh_id").agg(children=(pl.col("AGEP") < 18).sum())
    joined = own.join(counted, on="hh_id", suffix="_of_persons")
    assert (joined["children"] == joined["children_of_persons"]).all()
    assert {level: frame.shape for level, frame in read.totals.items()} == {
        "REGION": (1, 2), "TRACT": (4, 3), "TAZ": (12, 6),
    }  # fmt: skip


def test_controls_of_all_levels_are_met_by_whole_households(population):
    for (level,), part in population.summary.group_by(["geography"], maintain_order=True):
        error, within = total_error(part)
        assert error < 0.01, level
        assert within > 0.9, level
    zones = population.summary.filter(target="num_hh")
    assert (zones["difference"] == 0).all()
    assert zones.filter(id="12")["result"].item() == 0  # nobody lives there


def test_households_live_where_their_seed_does(folder, population):
    seed = pl.read_csv(folder / "data" / "seed_households.csv")
    joined = population.household_ids.join(seed, left_on="hh_id", right_on="hhnum")
    assert joined.height == population.households.height
    assert (joined["PUMA"].cast(pl.Int64) == joined["PUMA_right"]).all()
    members = population.persons.group_by("hh_id").len()
    sizes = population.households.join(members, on="hh_id")
    assert (sizes["NP"] == sizes["len"]).all()


def test_the_command_writes_populationsims_files(folder, tmp_path):
    done = CliRunner().invoke(
        main, ["popsim", str(folder), "--to", str(tmp_path / "out"), "--seed", "1"]
    )
    assert done.exit_code == 0, done.output
    assert "TRACT" in done.output
    files = {path.name: pl.read_csv(path) for path in (tmp_path / "out").iterdir()}
    assert {name: frame.columns[:4] for name, frame in files.items()} == {
        "final_expanded_household_ids.csv": ["PUMA", "TRACT", "TAZ", "hh_id"],
        "synthetic_households.csv": ["household_id", "PUMA", "TRACT", "TAZ"],
        "synthetic_persons.csv": ["household_id", "PUMA", "TRACT", "TAZ"],
        "final_summary_REGION.csv": ["geography", "id", "people_control", "people_result"],
        "final_summary_TRACT.csv": ["geography", "id", "children_control", "old_control"],
        "final_summary_TAZ.csv": ["geography", "id", "num_hh_control", "size_1_control"],
    }
    households = files["synthetic_households.csv"]
    assert households.columns[4:] == ["hh_id", "NP", "HINCP"]
    assert households["household_id"].to_list() == list(range(1, households.height + 1))
    summary = files["final_summary_TRACT.csv"]
    assert (summary["old_result"] - summary["old_control"]).equals(summary["old_diff"])
    again = CliRunner().invoke(
        main, ["popsim", str(folder), "--to", str(tmp_path / "b"), "--seed", "1"]
    )
    assert again.exit_code == 0
    for name in files:
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


SETTINGS, CONTROLS = "configs/settings.yaml", "configs/controls.csv"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (SETTINGS, "seed_geography: PUMA", "seed_geography: TAZ", "seed_geography 'TAZ' must be one"),
        (SETTINGS, "seed_geography: PUMA\n", "", "settings.yaml is not valid: seed_geography"),
        (SETTINGS, "tablename: TRACT_control", "tablename: T_control", "no table 'TRACT_control_data'"),
        (SETTINGS, "synthetic_persons.csv", "../elsewhere.csv", "not the name of a file"),
        (SETTINGS, "seed_persons.csv", "nobody.csv", "file nobody.csv is not in"),
        (SETTINGS, "WGTP", "WEIGHT", "seed_households.csv lacks columns, .*: WEIGHT"),
        (SETTINGS, "total_hh_control: num_hh", "total_hh_control: hh", "no control hh of TAZ"),
        (CONTROLS, "size_1,TAZ", "size_1,ZONE", "size_1: geography 'ZONE' is none of the geographies"),
        (CONTROLS, "TAZ,households,500,", "TAZ,families,500,", "seed_table 'families' is none"),
        (CONTROLS, "households,500,", "households,-5,", "poor: importance '-5' is not a number"),
        (CONTROLS, "size_2,TAZ", "size_1,TAZ", "control size_1 is there twice"),
        (CONTROLS, "households.NP == 1", "households.SIZE == 1", "no column 'SIZE'"),
        (CONTROLS, "households.NP == 1", "households.NP ==", "size_1: .* is not an expression"),
        (CONTROLS, "households.NP == 1", "__import__('os').system('true')", "size_1: .* not an exp"),
        (CONTROLS, "households.NP == 1", "households.NP.map(print)", "functions are .isin"),
        (CONTROLS, "persons.AGEP < 18", "households.NP == 1", "neither a column of persons"),
        (CONTROLS, "HHSIZE2", "HHSIZE9", "control_totals_taz.csv .*HHSIZE9"),
        ("data/control_totals_tract.csv", "70,", "71,", "children of TRACT 70 is missing"),
        ("data/geo_cross_walk.csv", "1,71,7,1", "1,71,8,1", "TRACT 71 lies in 2 areas of PUMA"),
        ("data/seed_households.csv", "\n2,7", "\n1,7", "hh_id is not unique"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(folder, tmp_path, file, old, new, message):
    write_popsim(tmp_path / "p")
    path = tmp_path / "p" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises((CalibrationError, DataFileError), match=message):
        read_popsim(tmp_path / "p")
    done = CliRunner().invoke(main, ["popsim", str(tmp_path / "p")])
    assert done.exit_code == 1
    assert not (tmp_path / "p" / "output").exists()


def test_a_control_that_no_household_adds_to_is_named(tmp_path):
    write_popsim(tmp_path)
    path = tmp_path / "configs" / "controls.csv"
    text = path.read_text().replace(
        "(persons.AGEP >= 0) | (persons.AGEP < 0)", "persons.AGEP > 200"
    )
    path.write_text(text)
    with pytest.raises(
        CalibrationError, match=r"people of REGION 1 is .*, but no household of the"
    ):
        populate(read_popsim(tmp_path))


def test_an_area_without_seed_households_is_named(tmp_path):
    write_popsim(tmp_path)
    path = tmp_path / "data" / "seed_households.csv"
    seed = pl.read_csv(path)
    seed.filter(PUMA=7).write_csv(path)
    with pytest.raises(CalibrationError, match=r"PUMA 8 has .* households to place, but the seed"):
        populate(read_popsim(tmp_path))
