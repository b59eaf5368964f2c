"""Every command and program in README.md and docs/ is run as it stands, page by page.

Blocks fenced as ``sh`` or ``python`` run one after the other in one temporary directory per page;
a ``python file=NAME`` block is written to that file instead. An HTML comment directly above a block
changes how it is tested:

- ``<!-- test: skip REASON -->`` leaves it out;
- ``<!-- test: replace TEXT by TEXT -->`` runs it at another size.

A page that runs ``mtfx ranking`` or something else of ``_SLOW`` takes minutes and is marked slow.
"""

import dataclasses
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mtfx.cli.__main__ import cli
from mtfx.cli.shared_flags import Invocation
from tests.test_scaffold import LAYERS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNNABLE = ("sh", "python")
_SLOW = (
    "mtfx ranking",
    "mtfx simulator",
    "mtfx fusion",
    "mtfx stream",
    "mtfx experiment",
    "mtfx compile",
    "mtfx compare --run-dir",
    "mtfx daily",
    "mtfx closed-loop",
    "build_estimator",
)
OTHER = ("text", "mermaid", "json", "yaml", "csv", "proto", "java", "")

_FENCE = re.compile(
    r"(?P<comments>(?:^<!--[^\n]*-->\n+)*)^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_DIRECTIVE = re.compile(r"<!--\s*test:\s*(skip|replace)\s+(.*?)\s*-->")


@dataclasses.dataclass(frozen=True)
class Block:
    language: str
    file: str | None
    body: str
    skip: str | None
    line: int


def parse(text: str) -> list[Block]:
    blocks = []
    for match in _FENCE.finditer(text):
        language, *attributes = match["info"].split() or [""]
        skip, body = None, match["body"]
        for kind, value in _DIRECTIVE.findall(match["comments"]):
            if kind == "skip":
                skip = value
            else:
                old, new = value.split(" by ")
                assert old in body, f"the block has no {old!r} to replace"
                body = body.replace(old, new)
        file = next((a.removeprefix("file=") for a in attributes if a.startswith("file=")), None)
        line = text[: match.start("body")].count("\n") + 1
        blocks.append(Block(language, file, body, skip, line))
    return blocks


def runnable(page: Path) -> list[Block]:
    blocks = parse(page.read_text())
    return [block for block in blocks if block.language in RUNNABLE and block.skip is None]


def pages_to_run():
    for page in PAGES:
        blocks = runnable(page)
        slow = any(command in block.body for block in blocks for command in _SLOW)
        marks = [pytest.mark.slow, pytest.mark.timeout(1800)] if slow else []
        if blocks:
            yield pytest.param(page, id=page.name, marks=marks)


def run(block: Block, directory: Path) -> subprocess.CompletedProcess:
    binaries = os.path.dirname(sys.executable)
    environment = {**os.environ, "PATH": binaries + os.pathsep + os.environ["PATH"]}
    environment["PYTHONPATH"] = ""
    command = ["bash", "-euo", "pipefail", "-c", block.body]
    if block.language == "python":
        command = [sys.executable, "-c", block.body]
    return subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("page", pages_to_run())
def test_the_page_does_what_it_says(page, tmp_path):
    for block in runnable(page):
        if block.file is not None:
            target = tmp_path / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.body)
            continue
        done = run(block, tmp_path)
        assert done.returncode == 0, (
            f"{page.name}:{block.line} failed with {done.returncode}\n"
            f"{block.body}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        )


def commands(page: Path) -> list[list[str]]:
    """The arguments of every ``mtfx`` in the page."""
    shell = "\n".join(block.body for block in parse(page.read_text()) if block.language == "sh")
    lines = shell.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("mtfx ")]


def parse_only(arguments: list[str]) -> None:
    """Raises what click raises for wrong arguments; runs nothing."""
    try:
        with cli.make_context("mtfx", list(arguments), obj=Invocation()) as context:
            name, command, rest = cli.resolve_command(context, arguments)
            assert command is not None
            with command.make_context(name, rest, parent=context):
                pass
    except click.exceptions.Exit:
        return  # --help and --version


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_flag_in_the_page_exists(page):
    for arguments in commands(page):
        parse_only(arguments)


def test_a_flag_that_does_not_exist_is_found():
    with pytest.raises(click.NoSuchOption):
        parse_only(["synthesize", "--output-dir", "x", "--rows", "5"])
    with pytest.raises(click.UsageError):
        parse_only(["rank"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_names_its_language(page):
    for block in parse(page.read_text()):
        assert block.language in RUNNABLE + OTHER, f"{page.name}:{block.line}: {block.language!r}"
        assert block.skip != "", f"{page.name}:{block.line}: skipped without a reason"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_repository_leads_somewhere(page):
    prose = _FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_and_module_in_the_page_exists(page):
    text = page.read_text()
    folders = "|".join([*LAYERS, "tests", "docs", "src"])
    for path in re.findall(rf"(?<![\w./-])((?:{folders})/[a-z0-9_./]+)`", text):
        assert (ROOT / path).exists(), f"{page.name}: {path}"
    for name in re.findall(r"\bmtfx(?:\.\w+)+", text):
        if not name.endswith((".json", ".log", ".py")):
            assert is_importable(name), f"{page.name}: {name}"


def is_importable(name: str) -> bool:
    """Whether ``name`` is a module, or something that a module has."""
    folder, parts = ROOT / "src" / "mtfx", name.split(".")[1:]
    while parts and (folder / parts[0]).is_dir():
        folder /= parts.pop(0)
    module = folder / f"{parts[0]}.py" if parts else folder / "__init__.py"
    if parts and not module.exists():
        module = folder / "__init__.py"
    else:
        parts = parts[1:]
    return module.exists() and all(re.search(rf"\b{part}\b", module.read_text()) for part in parts)


def test_a_path_or_module_that_does_not_exist_is_found():
    assert is_importable("mtfx.datasets")
    assert is_importable("mtfx.datasets.spec.Task")
    assert not is_importable("mtfx.datasets.specification")
    assert not is_importable("mtfx.datasets.spec.Tusk")


def test_the_parser_sees_blocks_attributes_and_directives():
    text = (
        "before\n```python file=a/b.py\nx = 1\n```\n"
        "<!-- test: skip needs a cluster -->\n```sh\nkubectl apply\n```\n"
        "<!-- test: replace 100000 by 2000 -->\n\n```sh\nmtfx rank -n 100000\n```\n"
        "```\nplain\n```\n"
    )
    blocks = parse(text)
    assert [block.language for block in blocks] == ["python", "sh", "sh", ""]
    assert blocks[0].file == "a/b.py"
    assert blocks[1].skip == "needs a cluster"
    assert blocks[2].body == "mtfx rank -n 2000\n"
    assert [block.line for block in blocks] == [3, 7, 12, 15]


def test_a_failing_block_fails(tmp_path):
    assert run(Block("sh", None, "false | true\n", None, 1), tmp_path).returncode == 1
    assert run(Block("python", None, "raise SystemExit(3)", None, 1), tmp_path).returncode == 3
    assert run(Block("sh", None, "mtfx --version\n", None, 1), tmp_path).stdout.startswith("mtfx")
