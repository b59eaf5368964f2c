import re
from pathlib import Path

from datasets.synthetic.user_model import SHOP_MODEL, VIDEO_MODEL

PAGE = (Path(__file__).parents[3] / "docs" / "synthetic-data.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "synthetic-data.md", "exec"), {})
    rates, ceiling = capsys.readouterr().out.splitlines()
    # The figures in the comments are the ones that come out, as far as they are written.
    for printed, comment in zip((rates, ceiling), re.findall(r"# (\{.*\})", code), strict=True):
        for task, value in re.findall(r"'(\w+)': (0\.\d+)…", comment):
            assert f"'{task}': {value}" in printed


def test_the_page_names_every_task():
    for task in (*VIDEO_MODEL.tasks, *SHOP_MODEL.tasks):
        assert task.replace("_", " ") in PAGE
