"""InfraValidator: whether the real TF Serving loads a ranker, before the ranker is pushed."""

from __future__ import annotations

import dataclasses
import os
import re
from typing import TYPE_CHECKING, Annotated

from mtfx.config import Config, OneOf
from mtfx.errors import UserError, require

if TYPE_CHECKING:
    from tfx.components import InfraValidator
    from tfx.types import BaseChannel

#: Where TF Serving is started: nowhere, in this machine's Docker, or as a pod.
PLATFORMS = ("none", "docker", "kubernetes")
#: The release that the image in ``serving/Dockerfile`` is made of.
DEFAULT_TAG = "2.16.1"
#: As ``serving/config/models.config`` names it.
_MODEL_NAME = "ranker"
#: A ranker is compiled for each of its warm-up requests while it is loaded.
_LOADING_SECONDS = 300
#: A second try tells a broken model from an image that was still being pulled.
_TRIES = 2
#: By which TFX knows that it runs in a pod of Kubeflow Pipelines, and in which.
_POD_VARIABLES = ("KUBERNETES_SERVICE_HOST", "KFP_POD_NAME", "KFP_NAMESPACE")
_TAG = re.compile(r"[\w][\w.-]{0,127}\Z")


@dataclasses.dataclass(frozen=True)
class InfraValidation(Config):
    """How a ranker is tried in TF Serving.

    Attributes:
      platform: Whether TF Serving itself loads the ranker and answers its warm-up requests before
        it is pushed: in this machine's Docker, or as a pod of Kubeflow Pipelines. Not by default,
        as many machines have neither.
      tag: Of the image tensorflow/serving that is started, which should be the release that serves.
    """

    platform: Annotated[str, OneOf(PLATFORMS)] = "none"
    tag: str = DEFAULT_TAG

    def __post_init__(self) -> None:
        require(
            self.platform in PLATFORMS,
            f"--infra-validator {self.platform!r} is not one of {', '.join(PLATFORMS)}",
        )
        require(
            _TAG.match(self.tag) is not None,
            f"--serving-tag {self.tag!r} is no tag of an image",
            f"for example {DEFAULT_TAG}, or {DEFAULT_TAG}-gpu",
        )

    def check(self) -> None:
        """Checks, before anything slow starts, that TF Serving can be started from here.

        Raises:
          UserError: naming what is missing.
        """
        if self.platform == "docker":
            _check_docker()
        elif self.platform == "kubernetes":
            missing = [name for name in _POD_VARIABLES if name not in os.environ]
            require(
                not missing,
                f"--infra-validator kubernetes: {', '.join(missing)} is not set",
                "TFX starts TF Serving as a pod from within a pod of Kubeflow Pipelines only; "
                "elsewhere take --infra-validator docker",
            )

    def stage(self, model: BaseChannel) -> InfraValidator | None:
        """The stage; None where there is none. Imports TFX.

        It loads the model and sends no requests of its own: the ranker carries warm-up requests in
        ``assets.extra``, all of which TF Serving answers before it calls the model available.

        Args:
          model: The ranker's channel.
        """
        if self.platform == "none":
            return None
        from tfx.components import InfraValidator
        from tfx.proto.infra_validator_pb2 import (
            ServingSpec,
            TensorFlowServing,
            ValidationSpec,
        )

        serving = ServingSpec(
            tensorflow_serving=TensorFlowServing(tags=[self.tag]),
            model_name=_MODEL_NAME,
        )
        if self.platform == "docker":
            serving.local_docker.SetInParent()
        else:
            serving.kubernetes.SetInParent()
        return InfraValidator(
            model=model,
            serving_spec=serving,
            validation_spec=ValidationSpec(
                max_loading_time_seconds=_LOADING_SECONDS, num_tries=_TRIES
            ),
        )


def _check_docker() -> None:
    import docker
    from docker.errors import DockerException

    try:
        docker.from_env().ping()
    except DockerException as error:
        raise UserError(
            f"--infra-validator docker: no Docker answers ({error})",
            "start it, set DOCKER_HOST, or leave the ranker to its other checks with "
            "--infra-validator none",
        ) from error
