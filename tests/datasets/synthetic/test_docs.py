import ast
import re
from pathlib import Path

import pytest

from mtfx.datasets.synthetic.user_model import SHOP_MODEL, VIDEO_MODEL

PAGE = (Path(__file__).parents[3] / "docs" / "synthetic-data.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "synthetic-data.md", "exec"), {})
    rates, ceiling = capsys.readouterr().out.splitlines()
    # NumPy's vectorised functions differ between processors in the last bit, and so a few labels.
    for printed, comment in zip((rates, ceiling), re.findall(r"# (\{.*\})", code), strict=True):
        figures = re.findall(r"'(\w+)': (0\.\d+)", comment)
        assert figures
        for task, value in figures:
            assert ast.literal_eval(printed)[task] == pytest.approx(float(value), abs=0.02)


def test_the_page_names_every_task():
    for task in (*VIDEO_MODEL.tasks, *SHOP_MODEL.tasks):
        assert task.replace("_", " ") in PAGE
