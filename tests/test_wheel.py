"""What `pip install` of the wheel brings: ``mtfx``, and no name that another package has."""

import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.test_scaffold import LAYERS

FOLDERS = set(LAYERS) - {"benchmarks"}


def build(root, target, output):
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(output)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    [built] = [path for path in output.iterdir() if target == "sdist" or path.suffix == ".whl"]
    return built


@pytest.fixture(scope="module")
def wheels(checkout, tmp_path_factory):
    """A wheel of the checkout, and one of the sdist, which has no links any more."""
    directory = tmp_path_factory.mktemp("wheels")
    sdist = build(checkout, "sdist", directory / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(directory / "unpacked")
    [unpacked] = (directory / "unpacked").iterdir()
    return [
        build(checkout, "wheel", directory / "of_checkout"),
        build(unpacked, "wheel", directory / "of_sdist"),
    ]


def test_a_wheel_has_one_name_at_its_top_and_all_that_is_below(wheels, checkout):
    listed = subprocess.run(
        ["git", "ls-files", *sorted(FOLDERS), "src/mtfx/*.py"],
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("the checkout is no git repository")
    files = listed.stdout.splitlines()
    wanted = {"mtfx/" + name.removeprefix("src/mtfx/") for name in files}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        found = {name for name in names if ".dist-info/" not in name}
        assert {name.split("/")[0] for name in found} == {"mtfx"}
        assert found == wanted


def test_an_installed_wheel_leaves_other_packages_their_names(wheels, tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("OWNER = 'Hugging Face'\n")
    for number, wheel in enumerate(wheels):
        installed = tmp_path / str(number)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(installed)
        code = (
            f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(installed)!r}]\n"
            "import datasets, mtfx.datasets.registry, mtfx.cli.__main__ as program\n"
            "assert datasets.OWNER == 'Hugging Face'\n"
            f"assert program.__file__.startswith({str(installed)!r})\n"
            "sys.exit(program.main(['datasets', '--dataset', 'kuairand']))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "KuaiRand" in done.stdout
