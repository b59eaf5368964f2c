"""The one list of a learner's state that a warm start keeps, and of what begins anew.

Whatever learns anything from day to day has an entry. Those of the agents in
``mtfx.agents.registry`` name the variables of their checkpoints, so that a variable that
nobody has thought of is found (``tests/trainers/fusion/test_export.py``).
``docs/daily-loop.md`` shows the list.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class CarriedState:
    """A learner's state by what becomes of it in a warm start.

    Attributes:
      kept: What goes on where it was, in words, and the paths of its variables in the agent's
        checkpoint: a path stands for all below it.
      reset: What begins anew, likewise; no paths for what is in no checkpoint.
    """

    kept: Mapping[str, tuple[str, ...]]
    reset: Mapping[str, tuple[str, ...]]


_COUNTER, _TARGET_COUNTER = "_train_step_counter", "_update_target"
_NETWORKS, _TARGETS = "networks", "target networks"
_OPTIMIZERS = "optimizers' moments and step counts"
_STEPS = "the count of training steps, and with it every schedule"
_NORMALISER = "the states' normaliser"
#: Of every agent. None of it is in a checkpoint.
_ANEW: Mapping[str, tuple[str, ...]] = {
    "settings, learning rates among them": (),
    "transitions": (),
    "TensorFlow's own random generators": (),
}
_CELLS_RATE = {"the rate of the cells, which each step sets": ("inner_stage/_rate",)}


def _below(parent: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{parent}/{name}" for name in names)


_BCQ_NETWORKS = ("vae", "perturbation", "critics")
_BCQ_TARGETS = ("target_perturbation", "target_critics")
_BCQ_OPTIMIZERS = ("vae_optimizer", "perturbation_optimizer", "critic_optimizer")
BCQ = CarriedState(
    kept={
        _NETWORKS: _BCQ_NETWORKS,
        _TARGETS: _BCQ_TARGETS,
        _OPTIMIZERS: _BCQ_OPTIMIZERS,
        _STEPS: (_COUNTER,),
    },
    reset=_ANEW,
)
_CRITICS = ("_critic_network_1", "_critic_network_2")
_TARGET_CRITICS = ("_target_critic_network_1", "_target_critic_network_2")
#: TF-Agents' TD3, with UWAC's weights or without.
TD3 = CarriedState(
    kept={
        _NETWORKS: ("_actor_network", *_CRITICS),
        _TARGETS: ("_target_actor_network", *_TARGET_CRITICS),
        _OPTIMIZERS: ("_actor_optimizer", "_critic_optimizer"),
        _STEPS: (_COUNTER, _TARGET_COUNTER),
    },
    reset=_ANEW,
)
CQL_SAC = CarriedState(
    kept={
        _NETWORKS: ("_actor_network", *_CRITICS),
        _TARGETS: _TARGET_CRITICS,
        "SAC's temperature": ("_log_alpha",),
        _OPTIMIZERS: ("_actor_optimizer", "_critic_optimizer", "_alpha_optimizer"),
        _STEPS: (_COUNTER, _TARGET_COUNTER),
    },
    reset=_ANEW,
)
#: With an actor and a critic, or with BCQ's networks below ``outer``.
XMTF = CarriedState(
    kept={
        "cells": ("inner_stage/fusion/cells",),
        _NETWORKS: ("actor", "critic", *_below("outer", _BCQ_NETWORKS)),
        _TARGETS: ("target_actor", "target_critic", *_below("outer", _BCQ_TARGETS)),
        _NORMALISER: ("normalizer",),
        _OPTIMIZERS: (
            "actor_optimizer",
            "critic_optimizer",
            "inner_stage/optimizer",
            *_below("outer", _BCQ_OPTIMIZERS),
        ),
        f"{_STEPS} (the warm-up of the cells)": (_COUNTER, f"outer/{_COUNTER}"),
    },
    reset={**_ANEW, **_CELLS_RATE},
)

#: What learns and is no agent of the registry.
OTHER_LEARNERS: Mapping[str, CarriedState] = {
    "ranking model": CarriedState(
        kept={
            "weights, embeddings by the value they stand for": (),
            "trained loss weights": (),
        },
        reset={
            "vocabularies and normalisation, which are the window's": (),
            "the optimizer": (),
            "the best epoch so far": (),
            "averages that a loss weighting takes over epochs": (),
        },
    ),
    "RMTL's and DDPG's critics": CarriedState(
        kept={},
        reset={"critics, their targets, optimizers and replay: they judge the day's actor": ()},
    ),
    "estimators' Q networks": CarriedState(
        kept={}, reset={"everything: an estimate is of one policy on one log": ()}
    ),
    "searches": CarriedState(
        kept={}, reset={"everything: what was found, and the sessions it was tried on": ()}
    ),
    "`mtfx stream` that is resumed": CarriedState(
        kept={"all that its agent keeps": (), "its place in the files, steps that are due": ()},
        reset={"the replay buffer, filled again from the files": ()},
    ),
}
