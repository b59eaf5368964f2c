"""The project's own frame: layers, make targets, image, hooks, requirements."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
BINARIES = Path(sys.executable).parent
# From the lowest layer up, above the core; equal numbers may not import each other.
LAYERS = {
    "serving": 1,
    "datasets": 2,
    "models": 3,
    "agents": 4,
    "environments": 4,
    "evaluation": 5,
    "components": 6,
    "trainers": 6,
    "pipelines": 7,
    "experiments": 7,
    "cli": 8,
    "benchmarks": 9,
}
SOURCES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
CORE = sorted((ROOT / "src" / "mtfx").glob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path):
    own = path.relative_to(ROOT).parts[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            layer = rest.split(".")[0] if top == "mtfx" else top
            if layer not in LAYERS:
                continue
            # Benchmarks are run from a checkout and installed nowhere.
            assert (top == "mtfx") == (layer != "benchmarks"), f"line {node.lineno}: {name}"
            assert layer == own or LAYERS[layer] < LAYERS[own], f"line {node.lineno}: {layer}"


def _module_file(name):
    base = ROOT.joinpath("src", *name.split("."))
    found = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in found if path.is_file()), None)


def _names_in(path):
    """Names that a module has, those of inner blocks too: rather too many than too few."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return names


def test_every_name_that_is_imported_exists():
    """An import inside a function fails when it runs; pyright says nothing of a missing name."""
    held: dict[Path, set[str]] = {}
    for path in [*SOURCES, *CORE]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("mtfx"):
                continue
            module = _module_file(node.module)
            place = f"{path.relative_to(ROOT)}, line {node.lineno}"
            assert module is not None, f"{place}: no module {node.module}"
            names = held.setdefault(module, _names_in(module))
            for alias in node.names:
                known = alias.name in names or _module_file(f"{node.module}.{alias.name}")
                assert known, f"{place}: {node.module} has no {alias.name}"


#: Found by name in the process or container that runs a stage, and the folder of the templates.
NO_IMPORTS = {
    "mtfx.components.preprocessing.preprocessing_fn",
    "mtfx.trainers.ranking.run.run_fn",
    "mtfx.trainers.fusion.run.run_fn",
    "mtfx.components.cluster.entry_point",
    "mtfx.trainers.ranking.worker",
    "mtfx.evaluation.reports",
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_string_names_a_module_that_could_not_be_imported(path):
    """An edge between layers that is a string is one that the test above does not see."""
    own = path.relative_to(ROOT).parts[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        named = re.fullmatch(r"mtfx\.(\w+)(\.\w+)+", node.value)
        if named is None or named[1] not in LAYERS or node.value in NO_IMPORTS:
            continue
        assert LAYERS[named[1]] < LAYERS[own], f"line {node.lineno}: {node.value}"


#: Classes whose name several modules share, as it means the same in each, or is in artifacts.
SHARED_NAMES = {
    "Executor": "of its module's component",
    "Stream": "of random numbers; synthetic data has its own on purpose, not the simulator's",
    "Simulator": "the simulator, and TFX's artifact that holds its world",
}


def test_a_name_stands_for_one_class():
    where: dict[str, list[str]] = {}
    for path in [*CORE, *SOURCES]:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    shared = {name: paths for name, paths in where.items() if len(paths) > 1}
    assert shared.keys() == SHARED_NAMES.keys(), shared


#: Beginnings of a question or of a sentence about what a module does, which are no noun phrases.
_QUESTIONS = {"how", "what", "whatever", "whether", "which", "that", "where", "who", "when", "why"}
_OTHERS = {"from", "in", "into", "to", "for", "if", "this", "these", "it", "here"}
_VERBS = {
    *("adds", "asks", "brings", "builds", "calls", "checks", "chooses", "compares", "compiles"),
    *("computes", "contains", "converts", "counts", "creates", "cuts", "decides", "defines"),
    *("describes", "does", "draws", "estimates", "evaluates", "exports", "finds", "fits"),
    *("gathers", "gives", "handles", "has", "helps", "holds", "implements", "is", "joins"),
    *("keeps", "loads", "looks", "makes", "maps", "measures", "moves", "names", "prints"),
    *("produces", "provides", "puts", "reads", "removes", "returns", "runs", "samples", "saves"),
    *("says", "selects", "sends", "serves", "shows", "simulates", "splits", "starts", "stores"),
    *("takes", "tells", "tests", "trains", "transforms", "turns", "updates", "uses", "validates"),
    *("waits", "wraps", "writes"),
}


def opens_with_a_noun_phrase(text: str) -> bool:
    """By its first two words: "Runs a trial" is none, "Runs of trials" is one."""
    first, second = [*re.findall(r"[\w'`.-]+", text.lower()), ""][:2]
    verb = first in _VERBS and second not in ("of", "that", "between", "by", "from")
    return first not in _QUESTIONS | _OTHERS and not verb


@pytest.mark.parametrize("path", [*CORE, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_small_and_say_what_they_are(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, "a module says what it is"
    assert opens_with_a_noun_phrase(docstring), docstring.splitlines()[0]


@pytest.mark.parametrize(
    ("text", "opens"),
    [
        ("Runs a trial.", False),
        ("Runs of trials, side by side.", True),
        ("What a trial is.", False),
        ("From trials to tables.", False),
        ("``mtfx stream``: training on sessions.", True),
        ("BCQ: batch-constrained Q-learning.", True),
    ],
)
def test_a_noun_phrase_is_known_by_its_first_words(text, opens):
    assert opens_with_a_noun_phrase(text) == opens


def test_the_map_has_every_folder():
    """The table of folders in CONTRIBUTING.md, with their layers; the README lists the same."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| (\d?) ?\| `([\w/]+)/` \| (.*) \|$", page, re.MULTILINE)
    mapped = {folder: layer for layer, folder, _ in rows}
    assert len(mapped) == len(rows)
    assert all((ROOT / folder).is_dir() for folder in mapped)
    layers = {folder: str(layer) for folder, layer in LAYERS.items()}
    assert mapped == layers | {"src/mtfx": "0", "tests": "", "docs": ""}
    for _, folder, content in rows:
        packages = {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")}
        if folder in LAYERS and folder != "components":
            assert packages <= set(re.findall(r"`(?:\w+/)*(\w+)/`", content)), folder
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    with_modules = {
        name.split("/")[0] for name in tracked.stdout.splitlines() if name.endswith(".py")
    }
    assert with_modules - {".ci"} <= {"src", *mapped}
    listed = re.findall(r"^\| `(\w+)/` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert set(LAYERS) == {folder for folder in listed if folder in LAYERS}


def test_make_lists_its_targets():
    make = shutil.which("make")
    if make is None:
        pytest.skip("this machine has no make")
    text = subprocess.run([make, "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "test", "lint", "bench"):
        assert f"make {target} " in text


@pytest.mark.parametrize("python", ["3.10", "3.13"])
def test_requirements_are_the_locks_on_both_lanes(python):
    locked = re.findall(r'^\[\[package\]\]\nname = "(.+)"\nversion = "(.+)"', _lock(), re.MULTILINE)
    text = (ROOT / "requirements.txt").read_text()
    machine = {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
    }
    pins = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        required = Requirement(line)
        assert (required.name, str(required.specifier).removeprefix("==")) in locked
        if required.marker is None or required.marker.evaluate(machine):
            assert required.name not in pins, "one version of each on a lane"
            pins[required.name] = str(required.specifier)
    assert len(pins) > 100
    assert pins["tfx"] == {"3.10": "==1.16.0", "3.13": "==1.21.0"}[python]
    assert "://" not in text


def _lock():
    return (ROOT / "uv.lock").read_text()


def test_only_the_public_index_is_locked():
    hosts = set(re.findall(r"https?://([^/\"]+)", _lock()))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}


def test_the_licence_is_whole():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_image_is_clean():
    subprocess.run([BINARIES / "hadolint", ROOT / "Dockerfile"], check=True)
    text = (ROOT / "Dockerfile").read_text()
    for package in set(LAYERS) - {"benchmarks"}:
        assert f"COPY {package} {package}" in text
        assert os.readlink(ROOT / "src" / "mtfx" / package) == f"../../{package}"
        assert f"!{package}\n" in (ROOT / ".dockerignore").read_text()
    assert "COPY src src" in text


def test_the_shell_scripts_are_clean():
    scripts = [path for path in sorted((ROOT / ".ci").iterdir()) if path.suffix == ""]
    assert len(scripts) == 8
    subprocess.run([BINARIES / "shellcheck", "--severity=warning", *scripts], check=True)


def test_hooks_need_no_git_host():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    for hook in hooks:
        program = hook["entry"].split()[0]
        found = BINARIES / Path(program).name if program.startswith(".venv") else ROOT / program
        assert found.exists(), program


def test_the_whitespace_hook_mends_and_fails(tmp_path):
    file = tmp_path / "file.txt"
    hook = [sys.executable, ROOT / ".ci" / "whitespace.py", file]
    file.write_text("a  \n\tb\t\n\n\n")
    assert subprocess.run(hook, capture_output=True).returncode == 1
    assert file.read_text() == "a\n\tb\n"
    assert subprocess.run(hook, capture_output=True).returncode == 0


class TestFindUv:
    """``.ci/find-uv`` on machines that lack things; PATH holds only what a test puts there."""

    @pytest.fixture
    def machine(self, tmp_path):
        (tmp_path / "checkout" / ".ci").mkdir(parents=True)
        shutil.copy(ROOT / ".ci" / "find-uv", tmp_path / "checkout" / ".ci")
        tools = tmp_path / "bin"
        tools.mkdir()
        for name in ("sh", "awk", "cat", "dirname", "rm", "ls", "head", "mkdir", "chmod"):
            (tools / name).symlink_to(shutil.which(name) or pytest.skip(f"no {name}"))
        return tmp_path

    def find(self, machine):
        return subprocess.run(
            [machine / "checkout" / ".ci" / "find-uv"],
            env={"PATH": str(machine / "bin"), "HOME": str(machine)},
            capture_output=True,
            text=True,
        )

    def put(self, machine, name, script):
        path = machine / "bin" / name
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        return path

    def test_takes_the_one_on_the_path(self, machine):
        uv = self.put(machine, "uv", "echo uv 0.9.2\n")
        assert self.find(machine).stdout.strip() == str(uv)

    def test_says_how_to_mend_a_machine_without_python(self, machine):
        self.put(machine, "uv", "echo uv 0.4.30\n")  # too old to be of use
        done = self.find(machine)
        assert done.returncode == 1
        assert done.stdout == ""
        assert "apt-get install python3-venv" in done.stderr

    def test_tries_the_next_way_and_the_next_python(self, machine):
        # python3.10 is a shim of a version that is not selected; python3 has pip but no venv.
        self.put(machine, "python3.10", "exit 127\n")
        private = machine / "checkout" / ".bootstrap"
        self.put(
            machine,
            "python3",
            f"""
            case "$*" in
            *"-m pip install"*--target*)
                mkdir -p {private}/bin
                echo '#!/bin/sh' >{private}/bin/uv
                echo 'echo uv 0.9.2' >>{private}/bin/uv
                chmod +x {private}/bin/uv ;;
            "-c import sys"*) exit 0 ;;
            *) echo no such module; exit 1 ;;
            esac
            """,
        )
        done = self.find(machine)
        assert done.stdout.strip() == f"{private}/bin/uv", done.stderr
        assert not (machine / "checkout" / ".bootstrap.log").exists()
        assert self.find(machine).stderr == ""


class TestLane:
    """``.ci/lane`` on machines of different age."""

    def lane(self, tmp_path, libc, lane=None):
        getconf = tmp_path / "getconf"
        getconf.write_text(f"#!/bin/sh\n{libc}\n")
        getconf.chmod(0o755)
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [ROOT / ".ci" / "lane"],
            env={"PATH": path, **({} if lane is None else {"LANE": lane})},
            capture_output=True,
            text=True,
        )

    @pytest.mark.parametrize(
        ("libc", "lane", "why"),
        [
            ("echo glibc 2.36", "3.10", "need glibc 2.39, and this is 2.36"),
            ("echo glibc 2.39", "3.13", "glibc 2.39 is 2.39 or newer"),
            ("echo glibc 2.100", "3.13", "glibc 2.100"),
            ("exit 1", "3.10", "no glibc"),
        ],
    )
    def test_the_newest_that_glibc_allows(self, tmp_path, libc, lane, why):
        done = self.lane(tmp_path, libc)
        assert done.stdout.strip() == lane
        assert why in done.stderr

    def test_lane_overrides_and_must_be_one(self, tmp_path):
        assert self.lane(tmp_path, "echo glibc 2.36", "3.13").stdout.strip() == "3.13"
        refused = self.lane(tmp_path, "echo glibc 2.36", "3.12")
        assert refused.returncode == 1
        assert "LANE=3.12" in refused.stderr
