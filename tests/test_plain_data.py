"""Configurations and registries are plain data; what they name is imported when it is used."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

MTFX = Path(__file__).resolve().parents[1] / "src" / "mtfx"
#: Each is a link to a folder at the top; benchmarks are no part of the package.
FOLDERS = sorted(path for path in MTFX.iterdir() if path.is_dir() and path.name[0] != "_")

#: Makes TFMA's configuration, of its own protocol buffers.
NOT_OURS = ("mtfx.evaluation.ranking.eval_config",)
PLAIN = sorted(
    ".".join(("mtfx", *path.relative_to(MTFX).with_suffix("").parts))
    for folder in FOLDERS
    for path in folder.rglob("*.py")
    if path.stem in ("config", "registry") or path.stem.endswith(("_config", "_registry"))
)
_IMPORT = """
import importlib, sys
heavy = {"tensorflow", "tfx", "apache_beam"}
found = {}
for name in sys.argv[1:]:
    before = heavy & set(sys.modules)
    importlib.import_module(name)
    if new := heavy & set(sys.modules) - before:
        found[name] = sorted(new)
print(found)
"""


def test_configurations_and_registries_import_without_tensorflow():
    names = [name for name in PLAIN if name not in NOT_OURS]
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT, *names], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "{}"


@pytest.mark.parametrize("name", ["uwac_td3", "doubly_robust"])
def test_a_name_stands_where_it_is_registered_and_implemented_only(name):
    """Which methods a paper compares is its experiment's design."""
    found = [
        path
        for folder in FOLDERS
        if folder.name != "experiments"
        for path in folder.rglob("*.py")
        if name in path.read_text()
    ]
    assert len(found) <= 2, found


def test_configurations_are_written_and_read_in_one_way():
    """``mtfx.config`` has four functions; a reward's weights are a dictionary in JSON."""
    found = set()
    for path in (path for folder in FOLDERS for path in folder.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("Config"):
                found |= {
                    f"{node.name}.{inner.name}"
                    for inner in node.body
                    if isinstance(inner, ast.FunctionDef) and re.match("(to|from)_", inner.name)
                }
    assert found == {"RewardConfig.to_dict"}
