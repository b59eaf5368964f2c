"""Exported rankers whose ranking model is a stub, for tests of what reads a ranker's fusion."""

import numpy as np
import tensorflow as tf

from mtfx.datasets.fused_predictions import probabilities
from mtfx.datasets.request_state import RequestStateConfig
from mtfx.models.export.policy import PolicyMetadata, PolicyModule, SavedPolicy, export_policy
from mtfx.models.export.ranker import Ranker, export_ranker
from mtfx.models.fusion.config import CellsConfig, FormulaFreeConfig, FusionConfig
from mtfx.models.fusion.formula_free import FormulaFreeFusion, RawStateFusion
from mtfx.models.fusion.monotonic_cells import build_cells
from mtfx.models.request_state import RequestState

CELLS = CellsConfig(hidden_units=(5,))
#: The fewest numbers that a request gives.
STATE = RequestStateConfig()
FREE = FormulaFreeConfig(CELLS.low, CELLS.high, saved_cells=True)


class StubRanking(tf.Module):
    """The signatures of a ranking model that predicts nothing."""

    def __init__(self, names):
        super().__init__()
        self._names = names

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples):
        return dict.fromkeys(self._names, tf.zeros([tf.size(examples), 1]))

    @tf.function(input_signature=[{"age": tf.TensorSpec([None], tf.float32, name="age")}])
    def predict_tasks(self, raw):
        return dict.fromkeys(self._names, raw["age"])


class Normalizer(tf.Module):
    """(s - 1) / 2, its numbers in variables as an agent's are."""

    def __init__(self):
        super().__init__()
        self.mean, self.deviation = tf.Variable(1.0), tf.Variable(2.0)

    def __call__(self, states):
        return (states - self.mean) / self.deviation


class SmallPolicy:
    """A linear policy with cells; as it is in memory, and exported.

    Attributes:
      fusion: Of states as they come.
    """

    def __init__(self, names, state_dim, cells=CELLS):
        self._names, self._state_dim = names, state_dim
        self._normalizer = Normalizer()
        kernel = np.linspace(-1, 1, state_dim * len(names)).reshape(state_dim, len(names))
        self._kernel = tf.Variable(kernel.astype(np.float32))
        inner = build_cells(cells, len(names), state_dim, seed=1)
        self.fusion = RawStateFusion(FormulaFreeFusion(len(names), cells, inner), self._normalizer)

    def act(self, states):
        return tf.tanh(tf.matmul(self._normalizer(states), self._kernel))

    def module(self, with_cells=True):
        variables = [self._kernel, self._normalizer.mean, self._normalizer.deviation]
        fusion = self.fusion if with_cells else None
        return PolicyModule(self.act, variables, self._state_dim, fusion)

    def metadata(self, fusion: FormulaFreeConfig | FusionConfig = FREE):
        names = tuple(self._names)
        return PolicyMetadata("small", self._state_dim, len(names), names, fusion.to_dict())


def save_ranking(names, directory):
    """A stub ranking model, as ``tf.saved_model.load`` gives it."""
    module = StubRanking(names)
    signatures = {"serving_default": module.serve, "predict_tasks": module.predict_tasks}
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return tf.saved_model.load(str(directory))


def export_small_ranker(directory, names, state, fusion=FREE, cells=CELLS):
    """Writes a ranker below a directory.

    Args:
      directory: Gets it.
      names: Of the predictions.
      state: A ``RequestStateConfig``.
      fusion: Of the policy.
      cells: Its own.

    Returns:
      Its path, and the policy in it as it was in memory.
    """
    state_names = state.state_names(names)
    policy = SmallPolicy(names, len(state_names), cells)
    free = isinstance(fusion, FormulaFreeConfig)
    export_policy(policy.module(free), str(directory / "policy"), policy.metadata(fusion))
    loaded = SavedPolicy(str(directory / "policy"))
    ranker = Ranker(
        save_ranking(names, directory / "ranking"),
        probabilities(names),
        loaded.fusion(len(names)),
        loaded.act,
        len(state_names),
        request_state=RequestState(state),
        policy_model=loaded.model,
    )
    about = {
        "policy": {"method": "small", "prediction_names": names, "fusion": fusion.to_dict()},
        "predictions": [prediction.to_dict() for prediction in probabilities(names)],
        "state_names": list(state_names),
    }
    export_ranker(ranker, str(directory / "ranker"), about)
    return directory / "ranker", policy
