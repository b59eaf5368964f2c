"""What a cluster and TF Serving would read: parsed by their own schemas, and consistent."""

import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

SERVING = Path(__file__).resolve().parents[2] / "serving"
MANIFESTS = sorted((SERVING / "kubernetes").glob("*.yaml"))


def documents():
    for path in MANIFESTS:
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] != "Kustomization":
                yield path.name, document


def of_kind(kind):
    [found] = [document for _, document in documents() if document["kind"] == kind]
    return found


@pytest.mark.parametrize(("name", "document"), list(documents()))
def test_manifests_are_what_kubernetes_knows(name, document):
    kubernetes_validate.validate(document, "1.31", strict=True)
    assert document["metadata"]["labels"] == {"app.kubernetes.io/name": "ranker"}, name


def test_a_wrong_manifest_would_be_found():
    document = of_kind("Deployment")
    document["spec"]["replica"] = document["spec"].pop("replicas")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, "1.31", strict=True)


def test_all_manifests_are_applied_and_fit_together():
    [kustomization] = list(
        yaml.safe_load_all((SERVING / "kubernetes" / "kustomization.yaml").read_text())
    )
    assert {*kustomization["resources"], "kustomization.yaml"} == {p.name for p in MANIFESTS}
    pod = of_kind("Deployment")["spec"]["template"]
    for selector in (
        of_kind("Service")["spec"]["selector"],
        of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        of_kind("Deployment")["spec"]["selector"]["matchLabels"],
    ):
        assert selector == pod["metadata"]["labels"]
    [container] = pod["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    image = (SERVING / "Dockerfile").read_text()
    for flag in container["args"]:
        assert flag.replace("/labels/", "/config/") in image
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in of_kind("Service")["spec"]["ports"]} == ports
    target = of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"]
    assert target == of_kind("Deployment")["metadata"]["name"]


@pytest.mark.parametrize("labelled", [False, True])
def test_models_config_is_tf_servings(labelled):
    text = (SERVING / "config" / "models.config").read_text()
    if labelled:
        text = of_kind("ConfigMap")["data"]["models.config"]
        # The labels that the manifest shows as comments are right as well.
        text = re.sub(r"# (version_labels)", r"\1", text)
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    [model] = config.model_config_list.config
    assert (model.name, model.base_path) == ("ranker", "/models/ranker")
    assert model.model_version_policy.latest.num_versions == 2
    assert dict(model.version_labels) == (
        {"stable": 1700000000, "canary": 1700086400} if labelled else {}
    )


def test_the_image_is_linted_and_has_every_config():
    hadolint = Path(sys.executable).parent / "hadolint"
    subprocess.run([hadolint, SERVING / "Dockerfile"], check=True)
    text = (SERVING / "Dockerfile").read_text()
    assert "COPY serving/config /config" in text
    for path in re.findall(r"/config/([\w.]+)", text):
        assert (SERVING / "config" / path).is_file()


def test_the_server_may_do_nothing_but_serve():
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"]["drop"] == ["ALL"]
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert mounts["models"]["readOnly"] is True
    # Without an address of its own, so nothing outside the cluster reaches it.
    assert of_kind("Service")["spec"]["clusterIP"] == "None"


def test_the_policy_in_the_docs_is_what_kubernetes_knows():
    page = (SERVING.parent / "docs" / "security.md").read_text()
    [policy] = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    kubernetes_validate.validate(policy, "1.31", strict=True)
    labels = of_kind("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
