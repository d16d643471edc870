from itertools import pairwise

import pytest

from microplex_pipeline.data_files import DataFileError
from microplex_pipeline.defs.coverage import STATES
from microplex_pipeline.reports.geography import FIPS, area_names, load_boundaries, outlines


def twice_area(ring):
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring))


def area(feature):
    return sum(abs(sum(twice_area(r) for r in p)) / 2 for p in feature["geometry"]["coordinates"])


def test_every_state_has_a_name_and_an_outline(boundaries):
    topology = load_boundaries(boundaries)
    assert sorted(FIPS) == sorted(STATES)
    assert set(area_names(topology, "states")) == set(FIPS.values())
    assert area_names(topology, "states")[FIPS["RI"]] == "Rhode Island"
    assert {f["id"] for f in outlines(topology, "states", (300, 200))} == set(FIPS.values())


def test_outlines_fill_the_picture_and_rings_are_closed(boundaries):
    features = outlines(load_boundaries(boundaries), "counties", (560, 380), FIPS["RI"])
    assert sorted(f["id"] for f in features) == ["44001", "44003", "44005", "44007", "44009"]
    rings = [r for f in features for p in f["geometry"]["coordinates"] for r in p]
    assert all(ring[0] == ring[-1] for ring in rings)
    xs, ys = zip(*(point for ring in rings for point in ring), strict=True)
    assert min(xs) == min(ys) == pytest.approx(0.0, abs=0.5)
    assert max(xs) == pytest.approx(560, abs=0.5) or max(ys) == pytest.approx(380, abs=0.5)
    assert max(xs) <= 560.5
    assert max(ys) <= 380.5


def test_counties_tile_their_state(boundaries):
    topology = load_boundaries(boundaries)
    size = (900, 560)
    counties = [f for f in outlines(topology, "counties", size) if f["id"].startswith("48")]
    texas = next(f for f in outlines(topology, "states", size) if f["id"] == "48")
    assert sum(map(area, counties)) == pytest.approx(area(texas), rel=0.01)


def test_a_wrong_file_is_named(tmp_path):
    (tmp_path / "map.json").write_text("{}")
    with pytest.raises(DataFileError, match=r"file map\.json is not a topology .* Restore it"):
        load_boundaries(tmp_path / "map.json")
    with pytest.raises(DataFileError, match=r"file none\.json is not in the data folder"):
        load_boundaries(tmp_path / "none.json")
