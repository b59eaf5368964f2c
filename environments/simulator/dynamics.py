"""The simulator: pure functions from sessions to sessions, batched, for use in a ``tf.function``.

A request draws a candidate set, a caller chooses one of it, the user responds; satisfaction is
carried over as in xMTF's simulator: s <- 0.95 s + 0.05 (what the impression was worth). A session
ends when satisfaction falls below 0.1, when the response model's user leaves, at the view cap, or
when nothing is left to offer.
"""

from __future__ import annotations

import tensorflow as tf

from mtfx.datasets.rewards import build_reward
from mtfx.environments.simulator import draws
from mtfx.environments.simulator.candidate_sets import CandidateSets
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.session import Candidates, SessionState, StepOutcome
from mtfx.environments.simulator.world import World

#: Views are divided by this in the state, as in xMTF.
VIEWS_SCALE = 100.0


class Simulator(tf.Module):
    """Sessions of a world's users.

    Everything random in a session follows from its seed and the number of the request, whatever is
    shown and however sessions are batched.

    Attributes:
      world: Users, pools, predictions, responses.
      config: The rules.
      state_dim: S, size of a state.
      num_candidates: C, or the size of the pools where that is less.
    """

    def __init__(self, world: World, config: SimulatorConfig | None = None) -> None:
        """Puts the world's tables into tensors.

        Args:
          world: Users, pools, predictions, responses.
          config: The rules; the defaults when None.
        """
        super().__init__(name="simulator")
        self.world = world
        self.config = config = SimulatorConfig() if config is None else config
        self._response = world.response
        self._reward = build_reward(config.reward, world.feedback_names)
        self._sets = CandidateSets(world.pool_size, config.candidates, config.max_views)
        self._embedding = tf.constant(world.user_embedding)
        self._predictions = tf.constant(world.predictions.reshape(-1, world.num_predictions))
        self.num_candidates = self._sets.size
        self.state_dim = len(self.state_names)

    @property
    def state_names(self) -> tuple[str, ...]:
        """What each number of a state is."""
        world = self.world
        names = [f"user_{i}" for i in range(world.user_embedding.shape[1])]
        names += ["views", *(f"mean_{name}" for name in world.prediction_names)]
        if self.config.include_history:
            names += [f"session_{name}" for name in world.feedback_names]
            names += ["session_watched_share"]
        return tuple(names)

    def reset(self, users: tf.Tensor, seed: tf.Tensor) -> SessionState:
        """Starts a session for each user.

        Args:
          users: Index of each session's user, int32 `[batch]`; a user may come more than once.
          seed: int32 `[2]`, from which session 0, 1, ... get seeds of their own; or those seeds,
            int32 `[batch, 2]`.

        Returns:
          Sessions at their first request.
        """
        users = tf.convert_to_tensor(users, tf.int32)
        batch = tf.size(users)
        seeds = draws.as_session_seeds(seed, batch)
        return SessionState(
            users=users,
            seeds=seeds,
            views=tf.zeros([batch], tf.int32),
            satisfaction=self._response.initial_satisfaction(
                users, draws.fold_in(seeds, draws.Stream.INITIAL, 0)
            ),
            remaining=tf.tile(tf.range(self.world.pool_size)[tf.newaxis], [batch, 1]),
            feedback_sum=tf.zeros([batch, len(self.world.feedback_names)]),
            watched_share_sum=tf.zeros([batch]),
        )

    def candidates(self, session: SessionState) -> Candidates:
        """What this request offers; the same each time it is asked."""
        places, mask = self._sets.places(session.views, self._set_uniforms(session))
        batch, size = tf.shape(places)[0], self.world.pool_size
        first = tf.range(batch)[:, tf.newaxis] * size
        slots = tf.gather(tf.reshape(session.remaining, [-1]), places + first)
        rows = slots + session.users[:, tf.newaxis] * size
        predictions = tf.gather(self._predictions, rows)
        predictions *= tf.cast(mask, tf.float32)[..., tf.newaxis]
        return Candidates(slots, predictions, mask)

    def observe(self, session: SessionState, candidates: Candidates | None = None) -> tf.Tensor:
        """The states of sessions, float32 `[batch, S]`; see :attr:`state_names`.

        Args:
          session: The sessions.
          candidates: Of this request, if the caller has them already.
        """
        candidates = self.candidates(session) if candidates is None else candidates
        views = tf.cast(session.views, tf.float32)
        weights = tf.cast(candidates.mask, tf.float32)
        count = tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1.0)
        mean = tf.squeeze(tf.matmul((weights / count)[:, tf.newaxis], candidates.predictions), 1)
        parts = [
            tf.gather(self._embedding, session.users),
            views[:, tf.newaxis] / VIEWS_SCALE,
            mean,
        ]
        if self.config.include_history:
            seen = tf.maximum(views, 1.0)[:, tf.newaxis]
            parts += [session.feedback_sum / seen, session.watched_share_sum[:, tf.newaxis] / seen]
        return tf.concat(parts, axis=1)

    def step(self, session: SessionState, chosen: tf.Tensor) -> tuple[SessionState, StepOutcome]:
        """Shows one candidate of each request.

        Args:
          session: Sessions that are not over.
          chosen: Column of the candidate in what :meth:`candidates` gives, int32 `[batch]`, where
            the mask is true.

        Returns:
          The sessions at their next request, and what happened.
        """
        slots, remaining = self._take(session, chosen)
        seeds = draws.fold_in(session.seeds, draws.Stream.RESPONSE, session.views)
        response = self._response.respond(session.users, slots, session.satisfaction, seeds)
        carried = self.config.carry_over
        satisfaction = carried * session.satisfaction + (1 - carried) * response.satisfaction_reward
        views = session.views + 1
        duration_s = self._response.durations_s(session.users, slots)
        outcome = StepOutcome(
            feedback=response.feedback,
            watch_s=response.watch_s,
            duration_s=duration_s,
            reward=self._reward(response.feedback, response.watch_s, duration_s),
            done=self._leaves(session, satisfaction, views),
        )
        following = session._replace(
            views=views,
            satisfaction=satisfaction,
            remaining=remaining,
            feedback_sum=session.feedback_sum + response.feedback,
            watched_share_sum=session.watched_share_sum
            + tf.math.divide_no_nan(response.watch_s, duration_s),
        )
        return following, outcome

    def _leaves(
        self, session: SessionState, satisfaction: tf.Tensor, views: tf.Tensor
    ) -> tf.Tensor:
        seeds = draws.fold_in(session.seeds, draws.Stream.LEAVE, session.views)
        chance = self._response.leave_probability(session.users, satisfaction)
        return (
            (draws.uniforms(seeds, 1)[:, 0] < chance)
            | (satisfaction < self.config.leave_below)
            | (views >= self.config.max_views)
            | (views >= self.world.pool_size)
        )

    def _set_uniforms(self, session: SessionState) -> tf.Tensor:
        seeds = draws.fold_in(session.seeds, draws.Stream.CANDIDATES, session.views)
        return draws.uniforms(seeds, 2)

    def _take(self, session: SessionState, chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The slots shown, and what remains: the last item left takes the place of the shown."""
        place = self._sets.place(session.views, self._set_uniforms(session), chosen)
        batch = tf.range(tf.size(place))
        # A session that is over may have nothing left; whatever comes of it is not used.
        last = tf.maximum(self.world.pool_size - 1 - session.views, 0)
        shown = tf.stack([batch, place], axis=1)
        slots = tf.gather_nd(session.remaining, shown)
        filler = tf.gather_nd(session.remaining, tf.stack([batch, last], axis=1))
        return slots, tf.tensor_scatter_nd_update(session.remaining, shown, filler)
