"""A ranker whose ranking model turns any item into predictions, and a server in front of it."""

import contextlib
import dataclasses
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from mtfx.datasets.fused_predictions import probabilities
from mtfx.models.export.ranker import Ranker, export_ranker
from mtfx.models.fusion.config import FusionConfig, build_fusion
from mtfx.models.request_state import RequestState
from mtfx.serving.stand_in_server import StandInServer
from tests.hashed_ranking import NAMES, STATE_CONFIG, STATE_DIM, save_ranking
from tests.request_examples import candidates

NOW = 1_700_000_000_000


def export(directory, version, scale):
    """A version whose policy multiplies the state by ``scale``."""
    ranker = Ranker(
        tf.saved_model.load(save_ranking(directory / "ranking")),
        probabilities(NAMES),
        build_fusion(FusionConfig("formula1"), len(NAMES)),
        lambda states: tf.tanh(scale * states[:, -len(NAMES) :]),
        STATE_DIM,
        request_state=RequestState(STATE_CONFIG),
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


@pytest.fixture(scope="session")
def ranking_request():
    """A user with a history and five candidates."""
    return candidates(
        5,
        age=31.0,
        town="Ulm",
        user_id_impressions=40,
        timestamp_ms=NOW,
        tab=[2, 2, 2, 2, 2],
        history_timestamp_ms=[NOW - 900_000, NOW - 60_000],
        history_click=[1, 0],
        history_watch_share=[0.5, 1.5],
    )
