import re

import pytest

from microplex_pipeline.settings import PROJECT

PAGES = ["areas.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page, monkeypatch):
    monkeypatch.chdir(PROJECT)
    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / page).read_text(), re.DOTALL)
    assert blocks
    names: dict = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    for name in ("reweighter", "targets"):
        assert name in names
