"""Whole writes: a reader sees all of a file or the one before."""

import pytest

from microplex_pipeline.data_files import write_together, write_whole


def fail(unfinished):
    unfinished.write_text("half")
    raise OSError("no space left")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "new" / "t.txt"
    write_whole(path, lambda unfinished: unfinished.write_text("old"))
    with pytest.raises(OSError, match="no space left"):
        write_whole(path, fail, beside=tmp_path)
    assert path.read_text() == "old"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_files_written_together_appear_only_if_all_are_written(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    writes = {first: lambda unfinished: unfinished.write_text("whole"), second: fail}
    with pytest.raises(OSError, match="no space left"):
        write_together(writes)
    assert not list(tmp_path.iterdir())
