"""The backbones and losses once more, in NumPy, from the papers' equations.

Weights are taken from the Keras layers; everything else is computed with loops over members,
experts and tasks, in float64, and shares no code with the models.
"""

from __future__ import annotations

import numpy as np


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x - x.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def mlp(x: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    for kernel, bias in layers:
        x = relu(x @ kernel + bias)
    return x


def member(parallel, index: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The layers of one of the parallel MLPs."""
    return [
        (kernel.numpy()[index].astype(np.float64), bias.numpy()[index].astype(np.float64))
        for kernel, bias in zip(parallel.kernels, parallel.biases, strict=True)
    ]


def tower(towers, task: int, x: np.ndarray) -> np.ndarray:
    hidden = mlp(x, member(towers.hidden, task))
    return hidden @ towers.head.numpy()[task] + towers.head_bias.numpy()[task]


def gate(layer, x: np.ndarray) -> np.ndarray:
    return softmax(x @ layer.kernel.numpy().astype(np.float64))


def mixture(weights: np.ndarray, experts: list[np.ndarray]) -> np.ndarray:
    total = np.zeros_like(experts[0])
    for row in range(len(total)):
        for expert, outputs in enumerate(experts):
            total[row] += weights[row, expert] * outputs[row]
    return total


def single_task(backbone, state: np.ndarray) -> np.ndarray:
    columns = [
        tower(backbone.towers, task, mlp(state, member(backbone.bottoms, task)))
        for task in range(len(backbone.tasks))
    ]
    return np.stack(columns, axis=1)


def shared_bottom(backbone, state: np.ndarray) -> np.ndarray:
    shared = mlp(state, member(backbone.bottom, 0))
    columns = [tower(backbone.towers, task, shared) for task in range(len(backbone.tasks))]
    return np.stack(columns, axis=1)


def esmm(backbone, state: np.ndarray) -> np.ndarray:
    """Log odds of the products of probabilities."""
    conditional = {
        task.name: column
        for task, column in zip(backbone.tasks, single_task(backbone, state).T, strict=True)
    }
    parents = {task.name: task.parent for task in backbone.tasks}
    columns = []
    for task in backbone.tasks:
        if task.parent is None:
            columns.append(conditional[task.name])
            continue
        probability = np.ones(len(state))
        name: str | None = task.name
        while name is not None:
            probability = probability * sigmoid(conditional[name])
            name = parents[name]
        columns.append(np.log(probability) - np.log1p(-probability))
    return np.stack(columns, axis=1)


def mmoe(backbone, state: np.ndarray) -> np.ndarray:
    experts = [
        mlp(state, member(backbone.experts, expert))
        for expert in range(backbone.config.num_experts)
    ]
    columns = [
        tower(backbone.towers, task, mixture(gate(backbone.gates[task], state), experts))
        for task in range(len(backbone.tasks))
    ]
    return np.stack(columns, axis=1)


def ple(backbone, state: np.ndarray) -> np.ndarray:
    tasks, config = len(backbone.tasks), backbone.config
    task_inputs, shared_input = [state] * tasks, state
    for level in backbone.levels:
        shared = [
            mlp(shared_input, member(level.shared_experts, expert))
            for expert in range(config.num_shared_experts)
        ]
        own = [
            [
                mlp(
                    task_inputs[task],
                    member(level.task_experts, task * config.num_task_experts + e),
                )
                for e in range(config.num_task_experts)
            ]
            for task in range(tasks)
        ]
        outputs = [
            mixture(gate(level.task_gates[task], task_inputs[task]), own[task] + shared)
            for task in range(tasks)
        ]
        if level is not backbone.levels[-1]:
            everyone = [expert for experts in own for expert in experts] + shared
            shared_input = mixture(gate(level.shared_gate, shared_input), everyone)
        task_inputs = outputs
    columns = [tower(backbone.towers, task, task_inputs[task]) for task in range(tasks)]
    return np.stack(columns, axis=1)


FORWARD = {
    "single_task": single_task,
    "shared_bottom": shared_bottom,
    "esmm": esmm,
    "mmoe": mmoe,
    "ple": ple,
}


def state_representation(layer, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Equation (4) of RMTL, with the layer's own activation of the state."""
    categorical, numeric = [], []
    for feature in layer.inputs:
        values = np.asarray(inputs[feature.name])
        if feature.kind == "categorical":
            table = layer.embeddings[feature.name].embeddings.numpy()
            categorical.append(np.eye(len(table))[values] @ table)
        else:
            position = len(numeric)
            projection = layer.projection.numpy()[position]
            numeric.append(np.outer(values, projection) + layer.projection_bias.numpy()[position])
    x = np.concatenate(categorical + numeric, axis=1)
    for dense in layer.mlp[:-1]:
        x = relu(x @ dense.kernel.numpy() + dense.bias.numpy())
    x = x @ layer.mlp[-1].kernel.numpy() + layer.mlp[-1].bias.numpy()
    return {"relu": relu, "sigmoid": sigmoid, "tanh": np.tanh, "linear": lambda y: y}[
        layer.config.output_activation
    ](x)


def loss(tasks, weights: list[float], logits: np.ndarray, labels: np.ndarray) -> float:
    """The weighted sum over tasks of the mean loss over impressions."""
    total = 0.0
    for task, weight, column, label in zip(tasks, weights, logits.T, labels.T, strict=True):
        if task.kind == "binary":
            p = sigmoid(column)
            total += weight * -np.mean(label * np.log(p) + (1 - label) * np.log(1 - p))
        else:
            mean, value = np.exp(column), label / task.unit
            total += weight * np.mean(4 * (np.sqrt(value) - np.sqrt(mean)) ** 2 / np.sqrt(mean))
    return total
