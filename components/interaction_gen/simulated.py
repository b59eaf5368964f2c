"""The simulator as a source: sessions explored chunk by chunk, on as many workers as there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import tensorflow as tf

from mtfx.agents.exploration import ExplorationPolicy, build_exploration
from mtfx.components.interaction_gen.config import DAY_MS, SimulatedInteractionConfig
from mtfx.components.interaction_gen.cuts import evaluated_sessions
from mtfx.datasets.transitions.codec import TransitionBatch
from mtfx.datasets.transitions.spec import TransitionSpec
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.policies import ConstantPolicy
from mtfx.environments.simulator.rollout import Interactions, rollout
from mtfx.environments.simulator.user_groups import drawn_users, user_groups
from mtfx.environments.simulator.world import load_world
from mtfx.errors import DataError, fenced
from mtfx.models.action_policy import ActionPolicy
from mtfx.models.export.policy import SavedPolicy
from mtfx.models.fusion.base import FusionFunction
from mtfx.models.fusion.config import build_fusion


@dataclasses.dataclass(frozen=True)
class SimulationPlan:
    """What a worker simulates.

    Attributes:
      config: The component's.
      world_dir: Directory of the world.
      policy_dir: Directory of the policy around which action noise explores; empty for the
        configuration's constant action.
    """

    config: SimulatedInteractionConfig
    world_dir: str
    policy_dir: str = ""


class Scene:
    """The simulator with everything that acts in it; made once per worker.

    Sessions that policies learn from are of users whom none is judged on, and the last sessions, on
    which they are judged, are of the others (``mtfx.environments.simulator.user_groups``).

    Attributes:
      spec: Of the transitions it gives.
    """

    def __init__(self, setting: SimulationPlan):
        """Loads the world and the policy.

        Raises:
          DataError: if one of them cannot be read, or they do not fit each other.
        """
        config = setting.config
        self._config = config
        self._world = load_world(setting.world_dir)
        self._simulator = Simulator(self._world, config.simulator)
        current = SavedPolicy(setting.policy_dir) if setting.policy_dir else None
        self._fusion = self._build_fusion(setting, current)
        self.spec = TransitionSpec(
            self._simulator.state_dim,
            self._world.prediction_names,
            self._world.feedback_names,
            self._fusion.action_dim,
        )
        self._exploration = self._build_exploration(setting, current)
        # The same users whatever the chunks, so that a chunk need not know the others.
        random = np.random.default_rng([config.seed, 1])
        spacing = config.days * DAY_MS / config.sessions
        places = np.arange(config.sessions) + random.random(config.sessions)
        self._starts = config.start_ms + (places * spacing).astype(np.int64)
        groups = user_groups(self._world.user_ids)
        learnt, judged = (drawn_users(group, config.sessions, random) for group in groups)
        evaluated = evaluated_sessions(self._starts, config.eval_fraction)
        self._users = np.where(evaluated, judged, learnt)

    def chunk(self, number: int) -> TransitionBatch:
        """The transitions of one chunk of sessions, in order of session and step."""
        size = self._config.sessions_per_chunk
        sessions = np.arange(number * size, min((number + 1) * size, self._config.sessions))
        interactions = rollout(
            self._simulator,
            self._fusion,
            self._exploration,
            self._users[sessions],
            [self._config.seed, number],
        )
        return self._transitions(interactions, sessions)

    def _build_fusion(self, setting: SimulationPlan, current: SavedPolicy | None) -> FusionFunction:
        """The current policy's own fusion, or the configured one where there is no policy."""
        config, world = setting.config.fusion, self._world
        if current is None:
            return build_fusion(config, world.num_predictions)
        if current.metadata.prediction_names != tuple(world.prediction_names):
            raise DataError(
                f"the policy in {setting.policy_dir} fuses the predictions "
                f"{list(current.metadata.prediction_names)} instead of "
                f"{list(world.prediction_names)}"
            )
        found = current.metadata.fusion_config.action_meaning()
        if found != config.action_meaning():
            raise DataError(
                f"the policy in {setting.policy_dir} is for the fusion {found}, but the actions "
                f"are to be those of {config.action_meaning()}: explore with the policy's fusion"
            )
        return current.fusion(world.num_predictions)

    def _build_exploration(
        self, setting: SimulationPlan, policy: SavedPolicy | None
    ) -> ExplorationPolicy:
        config, spec = setting.config, self.spec
        if policy is not None:
            current: ActionPolicy = policy
            about = policy.metadata
            found = TransitionSpec(
                about.state_dim, about.prediction_names, spec.feedback_names, about.action_dim
            )
            found.check_is(spec, f"the policy in {setting.policy_dir}")
        else:
            action = config.action or (0.0,) * spec.action_dim
            if len(action) != spec.action_dim:
                raise DataError(
                    f"the action to explore around has {len(action)} values, but the fusion "
                    f"function {config.fusion.formula} takes {spec.action_dim}, one for each of "
                    f"{', '.join(spec.prediction_names)}"
                )
            current = ConstantPolicy(np.asarray(action))
        return build_exploration(
            config.exploration,
            spec.action_dim,
            current,
            config.random_deviation,
            config.noise_deviation,
        )

    def _transitions(self, found: Interactions, sessions: np.ndarray) -> TransitionBatch:
        places = np.arange(found.predictions.shape[1])
        session = sessions[found.session]
        parts = self._exploration.parts(tf.constant(found.user, tf.int32)).numpy()
        width = len(str(self._config.sessions))
        ids = np.asarray([f"sim-{self._config.seed}-{number:0{width}d}" for number in sessions])
        return TransitionBatch(
            state=found.state,
            next_state=found.next_state,
            predictions=found.predictions[places < found.candidate_count[:, None]],
            candidate_count=found.candidate_count,
            chosen=found.chosen,
            action=found.action,
            log_density=found.log_density,
            behaviour_policy=np.asarray(self._exploration.part_names)[parts],
            feedback=found.feedback,
            watch_s=found.watch_s,
            duration_s=found.duration_s,
            reward=found.reward,
            discount=found.discount,
            session_id=ids[found.session],
            user_id=np.asarray(self._world.user_ids).astype(str)[found.user],
            step=found.step,
            timestamp_ms=self._starts[session] + _elapsed_ms(found),
        )


def _elapsed_ms(found: Interactions) -> np.ndarray:
    """Time of each request since its session's first: a video is followed by the next request."""
    watched = np.round(found.watch_s.astype(np.float64) * 1000).astype(np.int64)
    before = np.cumsum(watched) - watched
    first = np.flatnonzero(found.step == 0)
    return before - np.repeat(before[first], np.diff(np.append(first, len(before))))


class ExploreChunks(beam.DoFn):
    """Simulates chunks given by their numbers; yields :class:`TransitionBatch`."""

    def __init__(self, setting: SimulationPlan):
        self._setting = setting
        self._scene: Scene | None = None

    def setup(self) -> None:
        """Loads the world, once per worker."""
        try:
            self._scene = Scene(self._setting)
        except DataError as error:
            raise fenced(error) from error

    def process(self, element: int) -> Iterator[TransitionBatch]:
        """See the class."""
        assert self._scene is not None
        try:
            yield self._scene.chunk(element)
        except ValueError as error:
            # What the simulator refuses (a score that is not finite, say) is said as it says it.
            raise fenced(DataError(str(error))) from error


def chunk_numbers(config: SimulatedInteractionConfig) -> list[int]:
    """The chunks of all sessions."""
    return list(range(-(-config.sessions // config.sessions_per_chunk)))
