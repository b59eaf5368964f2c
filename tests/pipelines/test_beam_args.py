"""Flags for Beam: what is unknown, unreadable or missing is named before anything starts."""

import ast
import importlib

import apache_beam as beam
import pytest
from apache_beam.internal import pickler

from mtfx.errors import UserError
from mtfx.pipelines.beam_args import check_beam_args, local_beam_args

FLINK = ("--runner=FlinkRunner", "--flink_master=flink:8081")
SPARK = ("--runner=SparkRunner", "--spark_master_url=spark://spark:7077")
DATAFLOW = (
    "--runner=DataflowRunner",
    "--project=p",
    "--region=europe-west1",
    "--temp_location=gs://bucket/tmp",
    "--sdk_container_image=registry.example.com/mtfx:1",
)
POOL = ("--environment_type=EXTERNAL", "--environment_config=localhost:50000")
DOCKER = ("--environment_type=DOCKER", "--environment_config=registry.example.com/mtfx:1")


@pytest.mark.parametrize(
    "arguments",
    [
        (*FLINK, *POOL, "--parallelism=8", "--flink_version=1.19"),
        (*SPARK, *DOCKER),
        (*DATAFLOW, "--num_workers=4", "--worker_machine_type=n2-highmem-8"),
        ("--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK"),
        ("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
        ("--runner=my_company.beam.Runner",),
    ],
)
def test_what_beam_takes_is_taken(arguments):
    check_beam_args(arguments)
    assert set(arguments) <= set(local_beam_args(extra=arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("runner=FlinkRunner",), "'runner=FlinkRunner' does not begin with --"),
        (("--runner=FlinkRuner",), "--runner=FlinkRuner: Beam has no such runner; is FlinkRunner"),
        ((*FLINK, *POOL, "--paralelism=8"), "no option --paralelism; is --parallelism meant"),
        (("--help",), "no option --help"),
        ((*DATAFLOW, "--num_workers=many"), "--num_workers: invalid int value: 'many'"),
        ((*FLINK, *POOL, "--flink_version=9"), "--flink_version: invalid choice: '9'"),
        (("--runner=FlinkRunner",), "needs --flink_master, --environment_type too"),
        (SPARK, "--runner=SparkRunner needs --environment_type too"),
        ((*SPARK, "--environment_type=DOCKER"), "needs --environment_config too"),
        (DATAFLOW[:2], "needs --region, --temp_location, --sdk_container_image too"),
        (("--runner=PortableRunner",), "needs --job_endpoint, --environment_type too"),
        ((*DATAFLOW[:3], "--temp_location=/tmp", DATAFLOW[4]), "/tmp does not begin with gs://"),
    ],
)
def test_what_is_wrong_is_named(arguments, message):
    with pytest.raises(UserError) as raised:
        check_beam_args(arguments)
    assert message in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize(
    ("environment", "image"),
    [(POOL, "unused"), (DOCKER, "registry.example.com/mtfx:1")],
)
def test_tfx_does_not_pack_itself_for_workers_that_have_it(environment, image):
    arguments = local_beam_args(extra=(*FLINK, *environment))
    assert arguments[-1] == f"--sdk_container_image={image}"
    assert local_beam_args(extra=DATAFLOW) == DATAFLOW


def beam_classes(checkout):
    """Module and name of every class of ours that Beam sends to its workers."""
    bases = {"DoFn", "CombineFn", "PTransform", "Coder"}
    for package in ("components", "datasets", "environments", "evaluation", "trainers"):
        for path in sorted((checkout / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and any(
                    isinstance(base, ast.Attribute) and base.attr in bases for base in node.bases
                ):
                    parts = path.relative_to(checkout).with_suffix("").parts
                    yield ".".join(("mtfx", *parts)), node.name


def test_what_beam_sends_to_its_workers_is_found_there_by_name(checkout):
    found = list(beam_classes(checkout))
    assert len(found) > 8
    for module, name in found:
        # At the top of its module: a class within a function would be sent with all that it sees.
        kind = getattr(importlib.import_module(module), name)
        assert pickler.loads(pickler.dumps(kind)) is kind
        assert issubclass(kind, beam.DoFn | beam.CombineFn | beam.PTransform | beam.coders.Coder)
