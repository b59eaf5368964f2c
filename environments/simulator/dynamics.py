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
from mtfx.models.request_history import MOST_WATCHED, Past
from mtfx.models.request_state import RequestState, mean_predictions

#: Between the end of one view and the next request.
PAUSE_MS = 2_000


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
          config: The rules; those of the world's response model when None.
        """
        super().__init__(name="simulator")
        self.world = world
        self._response = world.response
        self.config: SimulatorConfig = world.response.rules if config is None else config
        self._reward = build_reward(self.config.reward, world.feedback_names)
        self._sets = CandidateSets(world.pool_size, self.config.candidates, self.config.max_views)
        self._request_state = RequestState(world.requests.config)
        self._attributes = tf.constant(world.requests.attributes)
        self._start_ms = tf.constant(world.requests.start_ms)
        self._past = Past(tf.constant(world.requests.past_ms), tf.constant(world.requests.past))
        self._predictions = tf.constant(world.predictions.reshape(-1, world.num_predictions))
        self.num_candidates = self._sets.size
        self.state_dim = len(self.state_names)

    @property
    def state_names(self) -> tuple[str, ...]:
        """What each number of a state is."""
        return self.world.requests.config.state_names(self.world.prediction_names)

    def reset(
        self, users: tf.Tensor, seed: tf.Tensor, start_ms: tf.Tensor | None = None
    ) -> SessionState:
        """Starts a session for each user.

        Args:
          users: Index of each session's user, int32 `[batch]`; a user may come more than once.
          seed: int32 `[2]`, from which session 0, 1, ... get seeds of their own; or those seeds,
            int32 `[batch, 2]`.
          start_ms: When each session begins, int64 `[batch]`; None: when the user's own does.

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
            now_ms=tf.gather(self._start_ms, users) if start_ms is None else start_ms,
            past_ms=tf.gather(self._past.times_ms, users),
            past=tf.gather(self._past.values, users),
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
        of_request = self._request_state.of_parts(
            tf.gather(self._attributes, session.users),
            session.now_ms,
            Past(session.past_ms, session.past),
        )
        means = mean_predictions(candidates.predictions, candidates.mask)
        return tf.concat([of_request, means], axis=1)

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
        past = Past(session.past_ms, session.past).followed_by(
            session.now_ms, self._remembered(outcome)
        )
        watch_ms = tf.cast(tf.round(1_000.0 * response.watch_s), tf.int64)
        following = session._replace(
            views=views,
            satisfaction=satisfaction,
            remaining=remaining,
            now_ms=session.now_ms + watch_ms + PAUSE_MS,
            past_ms=past.times_ms,
            past=past.values,
        )
        return following, outcome

    def _remembered(self, outcome: StepOutcome) -> tf.Tensor:
        """What a service will know of impressions, float32 `[batch, V]`."""
        config, names = self.world.requests.config, self.world.feedback_names
        unknown = tf.fill([tf.shape(outcome.watch_s)[0]], -1.0)
        columns = [
            outcome.feedback[:, names.index(name)] if name in names else unknown
            for name in config.feedback
        ]
        if config.watch_share:
            share = tf.math.divide_no_nan(outcome.watch_s, outcome.duration_s)
            known = outcome.duration_s > 0.0
            columns.append(tf.where(known, tf.minimum(share, MOST_WATCHED), unknown))
        return tf.stack(columns, axis=1) if columns else tf.zeros([tf.size(unknown), 0])

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
