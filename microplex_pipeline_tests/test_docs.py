import re

import pytest

from microplex_pipeline.defs.settings import PROJECT


@pytest.mark.parametrize("page", ["areas.md"])
def test_the_code_of_a_page_runs(page, monkeypatch):
    monkeypatch.chdir(PROJECT)
    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / page).read_text(), re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
