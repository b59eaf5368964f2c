"""The SavedModel of a simulator: loaded, it takes the same steps."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.saved_simulator import REQUEST, RESET, STEP, export_simulator
from tests.simulator_worlds import random_world


@pytest.fixture(scope="module")
def simulator():
    return Simulator(random_world(users=5, pool=12), SimulatorConfig(candidates=4, max_views=3))


@pytest.fixture(scope="module")
def signatures(simulator, tmp_path_factory):
    directory = tmp_path_factory.mktemp("saved")
    export_simulator(simulator, directory)
    loaded = tf.saved_model.load(str(directory))
    return {name: loaded.signatures[name] for name in (RESET, REQUEST, STEP)} | {"": loaded}


def test_loaded_sessions_go_as_the_simulators_own(simulator, signatures):
    users, seed = tf.constant([3, 0, 3]), tf.constant([7, 8])
    own, loaded = simulator.reset(users, seed), signatures[RESET](users=users, seed=seed)
    for view in range(3):
        candidates = simulator.candidates(own)
        request = signatures[REQUEST](**loaded)
        np.testing.assert_array_equal(request["slots"], candidates.slots)
        np.testing.assert_allclose(request["predictions"], candidates.predictions)
        np.testing.assert_allclose(request["state"], simulator.observe(own), rtol=1e-6)
        chosen = tf.constant([view % 4, 1, 2])
        own, outcome = simulator.step(own, chosen)
        answered = signatures[STEP](chosen=chosen, **loaded)
        for name, value in {**own._asdict(), **outcome._asdict()}.items():
            np.testing.assert_allclose(answered[name], value, rtol=1e-6, err_msg=name)
        loaded = {name: answered[name] for name in own._fields}
    assert outcome.done.numpy().all()
