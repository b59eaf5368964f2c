"""Configuration of the cluster that a pipeline is compiled for."""

from __future__ import annotations

import dataclasses
import re

from mtfx.config import Config
from mtfx.errors import require

#: Stores that Kubeflow's launcher and TensorFlow's file system both read and write.
_ROOTS = ("gs://",)
_IMAGE = re.compile(r"[\w][\w.\-/:]*(@sha256:[0-9a-f]{64})?\Z")


@dataclasses.dataclass(frozen=True)
class KubeflowConfig(Config):
    """Images, places and resources of a compiled pipeline.

    Attributes:
      image: The project's image, built with its Dockerfile; every stage runs in it.
      pipeline_root: Where artifacts go: an address beginning with gs://.
      gpu_image: Image of the stages that train; by default the same.
      push_dir: Where blessed models go, one folder per model; by default serving below the
        pipeline's root.
      gpus: GPUs of each stage that trains.
      gpu_type: Name of the GPUs as the cluster knows them; on Vertex such as NVIDIA_TESLA_T4.
      cpus: vCPUs of each stage, at most; 0 sets no limit.
      memory_gb: Memory of each stage in 10⁹ bytes, at most; 0 sets no limit.
    """

    image: str
    pipeline_root: str
    gpu_image: str = ""
    push_dir: str = ""
    gpus: int = 0
    gpu_type: str = "nvidia.com/gpu"
    cpus: float = 0.0
    memory_gb: float = 0.0

    def __post_init__(self) -> None:
        for flag, image in (("--image", self.image), ("--gpu-image", self.gpu_image)):
            require(
                _IMAGE.match(image) is not None or (not image and flag == "--gpu-image"),
                f"{flag} {image!r} is no name of an image",
                "for example registry.example.com/mtfx:1",
            )
        for flag, place in (("--pipeline-root", self.pipeline_root), ("--push-dir", self.push_dir)):
            require(
                place.startswith(_ROOTS) or (not place and flag == "--push-dir"),
                f"{flag} {place!r} does not begin with gs://",
                "every stage writes there from its own pod, by TensorFlow's file system",
            )
        require(self.gpus >= 0, f"--gpus must not be negative, got {self.gpus}")
        require(self.cpus >= 0, f"--cpus must not be negative, got {self.cpus:g}")
        require(self.memory_gb >= 0, f"--memory-gb must not be negative, got {self.memory_gb:g}")
        require(
            not self.gpu_image or self.gpus > 0,
            "--gpu-image is for stages with GPUs, and --gpus is 0",
        )

    def below_root(self, name: str) -> str:
        """An address below the pipeline root."""
        return f"{self.pipeline_root.rstrip('/')}/{name}"

    def push_to(self, name: str) -> str:
        """Where the blessed models of one kind go."""
        return f"{(self.push_dir or self.below_root('serving')).rstrip('/')}/{name}"
