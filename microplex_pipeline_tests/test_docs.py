import re

import pytest

from microplex_pipeline_tests.conftest import CHECKOUT


@pytest.mark.parametrize("page", ["areas.md"])
def test_the_code_of_a_page_runs(page, monkeypatch):
    monkeypatch.chdir(CHECKOUT)
    blocks = re.findall(r"```python\n(.*?)```", (CHECKOUT / "docs" / page).read_text(), re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
