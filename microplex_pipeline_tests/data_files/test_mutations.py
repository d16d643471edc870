"""Damaged files of every kind: a result or one declared message of one line, and nothing is written.

`python -m benchmarks.file_mutations` does the same with thousands of cases and bounds of time and memory.
"""

import pytest

from benchmarks.file_mutations import KINDS, outcome, prepare
from benchmarks.mutated_files import mutated

CASES = 40


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_gives_a_result_or_one_message(tmp_path, monkeypatch, name):
    for variable in ("MICROPLEX_CONFIG", "MICROPLEX_DATA", "MICROPLEX_WAREHOUSE"):
        monkeypatch.setenv(variable, "")  # restored after the test
        monkeypatch.delenv(variable)
    folder = tmp_path / "project"
    prepare(folder)
    kind = KINDS[name]
    path = folder / kind.file
    valid = path.read_bytes()
    assert outcome(kind, folder) == "result"
    found = {}
    for number in range(1, CASES):  # 0 is a file that takes seconds to make
        path.write_bytes(mutated(valid, kind.file, number))
        found[number] = outcome(kind, folder)
    assert {n: what for n, what in found.items() if what not in ("result", "refusal")} == {}
    assert set(found.values()) == {"result", "refusal"}
