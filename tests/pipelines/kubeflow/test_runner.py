"""Specs for Kubeflow: what is in them, and that no spec is written which a backend would refuse."""

import copy

import pytest
import yaml
from kfp import components as kfp_components
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts

from mtfx.cli.__main__ import main
from mtfx.errors import UserError
from mtfx.models.config import ModelConfig
from mtfx.pipelines import fusion_stages, ranking
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.infra_validation import InfraValidation
from mtfx.pipelines.kubeflow.config import KubeflowConfig
from mtfx.pipelines.kubeflow.fusion import create_fusion_pipeline
from mtfx.pipelines.kubeflow.ranking import create_ranking_pipeline
from mtfx.pipelines.kubeflow.runner import check_spec, compile_pipeline
from mtfx.pipelines.options import DataOptions

CLUSTER = KubeflowConfig(
    image="registry.example.com/mtfx:1",
    pipeline_root="gs://bucket/root",
    gpu_image="registry.example.com/mtfx:gpu",
    gpus=2,
    cpus=4,
    memory_gb=16,
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("specs")


@pytest.fixture(scope="module")
def ranking_config(directory):
    return RankingPipelineConfig(
        data=DataOptions("synthetic-video", "gs://bucket/data", pattern="day-{SPAN}/*", span=4),
        output_dir=str(directory / "run"),
        model=ModelConfig.of_size("small"),
        seed=5,
    )


@pytest.fixture(scope="module")
def ranking_file(ranking_config, directory):
    pipeline = create_ranking_pipeline(ranking_config, CLUSTER, days=3)
    return compile_pipeline(pipeline, CLUSTER, str(directory)).path


@pytest.fixture(scope="module")
def fusion_file(directory):
    config = FusionPipelineConfig(
        run_dir="", baselines=("constant", "td3", "xmtf"), candidate_buckets=(64, 512)
    )
    pipeline = create_fusion_pipeline(config, CLUSTER, "synthetic-video", "gs://bucket/data")
    return compile_pipeline(pipeline, CLUSTER, str(directory)).path


@pytest.fixture
def spec(ranking_file):
    return yaml.safe_load(ranking_file.read_text())


def containers(file):
    executors = yaml.safe_load(file.read_text())["deploymentSpec"]["executors"]
    return {
        name.removesuffix("_executor"): executor["container"]
        for name, executor in executors.items()
        if "container" in executor
    }


def test_the_sdk_reads_a_run_s_parameters_with_their_defaults(ranking_file, fusion_file):
    inputs = kfp_components.load_component_from_file(str(ranking_file)).component_spec.inputs
    assert {name: spec.default for name, spec in inputs.items()} == {
        "data_dir": "gs://bucket/data",
        "span": 4,
        "days": 3,
        "seed": 5,
    }
    assert {name: spec.type for name, spec in inputs.items()} == {
        "data_dir": "String",
        "span": "Integer",
        "days": "Integer",
        "seed": "Integer",
    }
    inputs = kfp_components.load_component_from_file(str(fusion_file)).component_spec.inputs
    required = {name for name, spec in inputs.items() if not spec.optional}
    assert required == {"ranking_model", "transform_graph", "examples"}
    assert inputs["seed"].default == 0


def test_only_what_trains_has_gpus_and_every_stage_has_its_limits(ranking_file, fusion_file):
    for file, trainers in (
        (ranking_file, {"Trainer"}),
        (fusion_file, {"Trainer-bcq", "Trainer-td3", "Trainer-xmtf"}),
    ):
        found = containers(file)
        assert {n for n, c in found.items() if "accelerator" in c["resources"]} == trainers
        for name, container in found.items():
            assert container["image"].endswith(":gpu" if name in trainers else ":1")
            assert container["resources"]["cpuLimit"] == 4
            assert container["resources"]["memoryLimit"] == 16
            assert container["command"] == ["python", "-m", "mtfx.components.cluster.entry_point"]
            # Drivers are hooks that only Vertex calls.
            assert "lifecycle" not in container
        for name in trainers:
            assert found[name]["resources"]["accelerator"] == {
                "type": "nvidia.com/gpu",
                "count": "2",
            }


def test_stages_that_read_what_the_backend_does_not_see_are_not_cached(spec):
    tasks = spec["root"]["dag"]["tasks"]
    cached = {name for name, task in tasks.items() if "cachingOptions" in task}
    assert set(tasks) - cached == {"SpanExampleGen", "CurrentModel", "Pusher"}


def broken(spec, change):
    changed = copy.deepcopy(spec)
    change(changed)
    return changed


def resolve(spec):
    executors = spec["deploymentSpec"]["executors"]
    executors["CurrentModel_executor"] = {"resolver": {"outputArtifactQueries": {}}}


def misspell(spec):
    inputs = spec["root"]["dag"]["tasks"]["Pusher"]["inputs"]["artifacts"]
    inputs["model"]["taskOutputArtifact"]["outputArtifactKey"] = "modle"


def lose_parameter(spec):
    del spec["root"]["inputDefinitions"]["parameters"]["span"]


def unknown_field(spec):
    spec["root"]["dga"] = {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (resolve, "stage CurrentModel is of kind resolver"),
        (misspell, "input model of stage Pusher is the output modle of Trainer"),
        (lose_parameter, "parameter span of stage SpanExampleGen is the run's span"),
        (unknown_field, "the KFP SDK cannot read the spec"),
    ],
)
def test_a_spec_that_a_backend_would_refuse_is_found(spec, change, message):
    check_spec(spec)
    with pytest.raises(UserError, match=message):
        check_spec(broken(spec, change))


def test_tfx_refuses_our_resolvers_and_infra_validator(ranking_config, directory):
    # Why there are pipelines of Kubeflow's own; once this fails, they may not be needed any more.
    with pytest.raises(UserError, match="EarlierBlessedModelStrategy"):
        compile_pipeline(ranking.create_pipeline(ranking_config), CLUSTER, str(directory))
    model = Importer(
        source_uri="gs://bucket/model", artifact_type=standard_artifacts.Model
    ).with_id("model")
    validator = InfraValidation("docker").stage(model.outputs["result"])
    pipeline = Pipeline("validated", "gs://bucket/root", components=[model, validator])
    with pytest.raises(UserError, match="InfraValidator"):
        compile_pipeline(pipeline, CLUSTER, str(directory))
    assert not list(directory.glob("validated*"))


def test_names_are_those_of_the_local_pipelines(ranking_config, ranking_file, fusion_file):
    assert ranking_file.stem == ranking.pipeline_name(ranking_config)
    assert fusion_file.stem == fusion_stages.pipeline_name(FusionPipelineConfig(run_dir=""))


COMMAND = [
    "compile",
    "--runner=kubeflow",
    "--image=registry.example.com/mtfx:1",
    "--pipeline-root=gs://bucket/root",
    "--dataset=synthetic-video",
    "--data-dir=gs://bucket/data",
]


def test_the_command_writes_the_spec_and_says_what_it_left_out(tmp_path, capfd):
    output = ["--output-dir", str(tmp_path), "--pipeline=fusion"]
    assert main([*COMMAND, *output, "--infra-validator=docker"]) == 0
    shown = capfd.readouterr().out
    assert "--infra-validator docker is left out" in shown.replace("\n", " ")
    assert "(to be given)" in shown
    [file] = tmp_path.glob("*.yaml")
    assert "InfraValidator" not in containers(file)
    assert (tmp_path / "compile.log").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pipeline=fusion", "--epochs=3"], "--epochs is of the pipeline ranking"),
        (["--pipeline=ranking", "--candidate-buckets=8"], "--candidate-buckets is of the pipeline"),
        (["--pipeline=ranking", "--users=3"], "--users is of the pipeline fusion"),
        (["--pipeline=ranking", "--days=2"], "has no {SPAN}, by which --days 2"),
        (["--pipeline=ranking", "--beam-arg=--paralelism=4"], "is --parallelism meant"),
        (["--pipeline=ranking", "--days=0"], "--days must be at least 1"),
        (["--pipeline=ranking", "--history-days=-1"], "--history-days must not be negative"),
        (["--pipeline=ranking", "--history-length=-1"], "--history-length is a number from 0"),
        (["--pipeline=fusion", "--history-days=1"], "--history-days is of the pipeline ranking"),
        (["--pipeline=ranking", "--tasks=lick"], "has no task 'lick'"),
        (["--pipeline=ranking", "--data-dir=data"], "neither an address beginning with gs://"),
        (["--pipeline=ranking", "--pipeline-root=s3://b"], "does not begin with gs://"),
        (["--pipeline=ranking", "--image=a b"], "is no name of an image"),
        (["--pipeline=ranking", "--gpu-image=x"], "--gpus is 0"),
        (["--pipeline=ranking", "--gpus=-1"], "--gpus must not be negative"),
    ],
)
def test_wrong_flags_are_named(tmp_path, capfd, arguments, message):
    output = ["--output-dir", str(tmp_path)]
    assert main([*COMMAND, *output, *arguments]) == 1
    shown = capfd.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert not list(tmp_path.iterdir())


def test_the_policy_that_is_chosen_is_the_one_that_is_pushed(directory):
    config = FusionPipelineConfig(run_dir="", baselines=("constant", "bo"), push="best")
    pipeline = create_fusion_pipeline(config, CLUSTER, "synthetic-video", "gs://bucket/data")
    file = compile_pipeline(pipeline, CLUSTER, str(directory)).path
    tasks = yaml.safe_load(file.read_text())["root"]["dag"]["tasks"]

    def maker(task, name):
        return tasks[task]["inputs"]["artifacts"][name]["taskOutputArtifact"]["producerTask"]

    for task, name in (
        ("PolicyEvaluator", "policy"),
        ("RankerExporter", "policy"),
        ("PolicyPusher", "model"),
    ):
        assert maker(task, name) == "PolicySelector"
    assert [maker("PolicySelector", f"policy_{place}") for place in range(3)] == [
        "PolicySearch-constant",
        "PolicySearch-bo",
        "Trainer-bcq",
    ]
