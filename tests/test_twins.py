"""Every product module has a test that imports it, or says in one line why not."""

import ast
from pathlib import Path

from tests.test_scaffold import LAYERS

ROOT = Path(__file__).resolve().parents[1]
#: Benchmarks measure; they are no part of the package.
FOLDERS = [folder for folder in LAYERS if folder != "benchmarks"]

#: Modules that no test imports, and why a direct test would say nothing new.
_BY_NAME = "its registry entry names it, and the tests of the registry's users run it"
WITHOUT = {
    "agents.cql_sac": f"{_BY_NAME}: tests/agents/test_cql_sac.py",
    "agents.td3": f"{_BY_NAME}: tests/agents/test_td3.py",
    "agents.uwac_td3": f"{_BY_NAME}: tests/agents/test_uwac_td3.py",
    "agents.xmtf_batch_constrained": f"{_BY_NAME}: tests/agents/test_xmtf_batch_constrained.py",
    "components.interaction_gen.simulated": "Beam's part of the component: test_simulated.py",
    "components.interaction_gen.writing": "Beam's part of both components: test_simulated.py",
    "components.policy_evaluator.evaluate": "the component's executor: test_component.py",
    "components.ranker_exporter.component": "a stage: tests/pipelines/test_fusion.py",
    "components.session_example_gen.transforms": "Beam's part of the component: test_executor.py",
    "datasets.synthetic.shop_tables": "the shop's files are checked whole: test_shop.py",
    "datasets.synthetic.video_tables": "the profile's files are checked whole: test_video.py",
    "environments.simulator.fitting.raw_requests": "needs a run: tests/pipelines/test_fusion.py",
    "experiments.batchrl.search": "a trial's function: tests/experiments/batchrl/test_run.py",
    "models.export.ranking": "needs a trained model: tests/trainers/ranking/test_run.py",
    "models.mtl.mmoe": f"{_BY_NAME}: tests/models/mtl/test_backbones.py",
    "models.mtl.ple": f"{_BY_NAME}: tests/models/mtl/test_backbones.py",
    "models.mtl.shared_bottom": f"{_BY_NAME}: tests/models/mtl/test_backbones.py",
    "pipelines.fusion_run": "reads a finished run: tests/pipelines/test_fusion.py",
    "pipelines.headroom": "by its command: tests/pipelines/test_headroom.py",
    "pipelines.rejoin": "needs two runs: tests/pipelines/test_daily.py",
    "pipelines.streaming": "needs a run: tests/pipelines/test_stream.py",
    "trainers.ranking.run": "found by name: tests/trainers/ranking/test_run.py",
    "trainers.ranking.worker": "a process of its own: tests/trainers/ranking/test_multi_worker.py",
}


def modules() -> set[str]:
    """Below ``mtfx``, without the packages' own files."""
    paths = [
        *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")),
        *(ROOT / "src" / "mtfx").glob("*.py"),
    ]
    return {
        ".".join(path.with_suffix("").parts)
        for path in (
            path.relative_to(ROOT / "src" / "mtfx" if "src" in path.parts[-3:] else ROOT)
            for path in paths
            if path.name != "__init__.py"
        )
    }


def imported() -> set[str]:
    """All that an import statement below ``tests`` names."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    return {name.removeprefix("mtfx.") for name in found if name.startswith("mtfx.")}


def test_a_test_imports_each_module_or_says_why_not():
    missing = modules() - imported()
    assert sorted(missing - set(WITHOUT)) == []
    assert sorted(set(WITHOUT) - missing) == [], "no longer missing, or no module"
    assert len(WITHOUT) < 25


def test_the_tests_named_instead_exist():
    for module, reason in WITHOUT.items():
        name = reason.rsplit(" ", 1)[1]
        place = ROOT / name if "/" in name else ROOT / "tests" / Path(*module.split(".")[:-1], name)
        assert place.is_file(), module
