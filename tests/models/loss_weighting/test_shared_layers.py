"""What is called shared is what several tasks' gradients reach."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mtfx.models.mtl.registry import BACKBONES
from mtfx.models.ranking_model import RankingModel


@pytest.mark.parametrize(
    ("backbone", "changes"),
    [
        *((name, {}) for name in BACKBONES),
        ("ple", {"num_levels": 1}),
        ("ple", {"num_levels": 3}),
    ],
)
@pytest.mark.parametrize("tasks", [(0, 1, 2, 3, 4), (0, 3, 4)], ids=["chain", "no_parents"])
def test_shared_variables_are_those_of_several_tasks(small, weighted, backbone, changes, tasks):
    chosen = tuple(dataclasses.replace(small.tasks[index]) for index in tasks)
    config = small.config(backbone, **{"dropout": 0.0, **changes})
    model = RankingModel(small.inputs, chosen, config, seed=7)
    features, labels = weighted.batch(rows=200)
    batch = (features, labels.numpy()[:, list(tasks)])
    _, gradients = weighted.task_gradients(model, batch)
    shared = {id(variable) for variable in model.shared_variables}
    assert shared <= {id(variable) for variable in model.trainable_variables}
    for position, variable in enumerate(model.trainable_variables):
        reached = np.sum([task[position] != 0 for task in gradients], axis=0)
        if id(variable) in shared:
            assert reached.max() > 1, variable.name
        else:
            assert reached.max() == 1, variable.name
