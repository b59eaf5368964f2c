"""What each folder's ``__init__.py`` exports: about ten names, imported when they are used."""

import ast
import importlib
import subprocess
import sys

import pytest

from mtfx.lazy import exports
from tests.test_plain_data import MTFX

#: The folders whose names users of the library import.
FOLDERS = (
    *("agents", "components", "datasets", "environments"),
    *("evaluation", "models", "pipelines", "serving"),
)


def imported_for_types(folder):
    """Names by module, from the imports of a folder's ``__init__.py`` that pyright sees."""
    tree = ast.parse((MTFX / folder / "__init__.py").read_text())
    return {
        name.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module not in ("typing", "mtfx.lazy")
        for name in node.names
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_public_name_is_that_of_its_module(folder):
    package = importlib.import_module(f"mtfx.{folder}")
    modules = imported_for_types(folder)
    assert package.__all__ == sorted(modules)
    assert 8 <= len(modules) <= 15
    assert set(modules) <= set(dir(package))
    for name, module in modules.items():
        assert getattr(package, name) is getattr(importlib.import_module(module), name)


def test_folders_import_none_of_their_modules():
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module('mtfx.' + name)\n"
        "print(*sorted(name for name in sys.modules if name.count('.') > 1 and 'mtfx' in name))\n"
        "print(*{'tensorflow', 'tfx', 'apache_beam', 'polars', 'numpy'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *FOLDERS], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_a_name_that_a_folder_lacks_is_an_attribute_error():
    load, _, names = exports("mtfx.datasets", {"spec": ("Task",)})
    assert names == ["Task"]
    assert load("Task").__name__ == "Task"
    with pytest.raises(AttributeError, match=r"mtfx.datasets.*no attribute 'Tusk'"):
        load("Tusk")
    with pytest.raises(ImportError, match="Tusk"):
        exec("from mtfx.datasets import Tusk")
