"""A ranker whose ranking model turns any bytes into predictions, and a server in front of it."""

import contextlib
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mtfx.models.export.ranker import Ranker, export_ranker
from mtfx.models.fusion.config import FusionConfig, build_fusion
from mtfx.serving.stand_in_server import StandInServer
from tests.hashed_ranking import NAMES, save_ranking

STATE_DIM = 4


def export(directory, version, scale):
    """A version whose policy multiplies the state by ``scale``."""
    ranker = Ranker(
        tf.saved_model.load(save_ranking(directory / "ranking")),
        NAMES,
        build_fusion(FusionConfig("formula1"), len(NAMES)),
        lambda states: tf.tanh(scale * states[:, : len(NAMES)]),
        STATE_DIM,
    )
    export_ranker(ranker, str(directory / "ranker" / str(version)), {})


@dataclasses.dataclass(frozen=True)
class Served:
    """A running server and the directory that it watches."""

    server: StandInServer
    base: Path

    @property
    def target(self):
        return f"localhost:{self.server.grpc_port}"

    @property
    def url(self):
        return f"http://localhost:{self.server.rest_port}"


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Two versions of a ranker."""
    directory = tmp_path_factory.mktemp("exported")
    for version, scale in ((1, 1.0), (2, -1.0)):
        export(directory, version, scale)
    return directory / "ranker"


@contextlib.contextmanager
def serve(exported, directory):
    base = directory / "served"
    shutil.copytree(exported, base)
    with StandInServer(str(base), labels={"stable": 1, "canary": 2}, poll_s=3600) as server:
        yield Served(server, base)


@pytest.fixture(scope="session")
def served(exported, tmp_path_factory):
    """For tests that leave its directory alone."""
    with serve(exported, tmp_path_factory.mktemp("served")) as one:
        yield one


@pytest.fixture
def own_server(exported, tmp_path):
    """For a test that changes its directory."""
    with serve(exported, tmp_path) as one:
        yield one


@pytest.fixture
def request_parts():
    """A state and five candidates."""
    state = np.asarray([0.3, -0.2, 0.0, 1.0], np.float32)
    return state, [f"candidate {number}".encode() for number in range(5)]
