"""A service in front of a simulator's users: ranks by a server, logs as a real one does."""

from __future__ import annotations

import dataclasses
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tensorflow as tf

from mtfx.datasets.history import WATCH_SHARE
from mtfx.datasets.logs.logged_histories import HistoryLists
from mtfx.datasets.logs.sessions import derive
from mtfx.environments.simulator import draws
from mtfx.environments.simulator.dynamics import PAUSE_MS, Simulator
from mtfx.environments.simulator.fitting.raw_requests import WorldRequests
from mtfx.environments.simulator.runner import as_seed
from mtfx.environments.simulator.session import SessionState, StepOutcome
from mtfx.environments.simulator.user_groups import drawn_users, user_groups
from mtfx.files import atomic_path
from mtfx.models.request_history import MOST_WATCHED
from mtfx.serving.client import RankerClient
from mtfx.serving.exploration import ExplorationPlan, request_seed
from mtfx.serving.interaction_log import WATCH_S, InteractionLogger, RequestContext
from mtfx.serving.messages import Exploration, Ranking

_DAY_MS = 86_400_000
#: Of the requests, whose features are logged for the check of skew. A rehearsal's requests are few:
#: a smaller share of them says little of a distribution.
_EXAMPLE_SHARE = 1.0
#: Requests on their way at once.
_THREADS = 4


@dataclasses.dataclass(frozen=True)
class ServedDay:
    """Figures of a day of service.

    Attributes:
      requests: Ranked.
      watch_s: Seconds watched in each session, float64 `[session]`.
      arms: Arm of each session's user, `[session]`.
      impressions: The log's rows, with the columns of the data set's files.
      end_ms: Unix time after the last request.
    """

    requests: int
    watch_s: np.ndarray
    arms: np.ndarray
    impressions: pl.DataFrame
    end_ms: int


@dataclasses.dataclass(frozen=True)
class _Lane:
    """A session's request: who asks, for which items of the user's pool."""

    context: RequestContext
    user: int
    slots: list[int]
    example: bytes


@dataclasses.dataclass(frozen=True)
class _Answer:
    """What a user did with what was shown."""

    feedback: dict[str, float]
    watch_s: float
    duration_s: float

    def reported(self) -> dict[str, float]:
        """What a client reports: what happened, and how long was watched."""
        happened = {name: value for name, value in self.feedback.items() if value}
        return {**happened, WATCH_S: self.watch_s}


class _Clock:
    """The time of each session, and of the one that is looked at."""

    def __init__(self, starts_ms: np.ndarray) -> None:
        self._times = starts_ms.astype(np.int64)
        self._number = 0

    @property
    def now(self) -> int:
        return int(self._times[self._number])

    @property
    def last(self) -> int:
        return int(self._times.max())

    def of(self, numbers: np.ndarray) -> np.ndarray:
        return self._times[numbers]

    def turn_to(self, number: int) -> None:
        self._number = number

    def pass_ms(self, milliseconds: int) -> None:
        self._times[self._number] += milliseconds


class SimulatedService:
    """Serves the users of a simulator for a day at a time."""

    def __init__(
        self,
        simulator: Simulator,
        requests: WorldRequests,
        plan: ExplorationPlan,
        seed: int = 0,
    ) -> None:
        """Keeps the parts.

        Args:
          simulator: The users.
          requests: What the service knows of them.
          plan: Which users are explored with.
          seed: Of the users who come and of their behaviour.
        """
        self._simulator, self._requests = simulator, requests
        self._plan, self._seed = plan, seed
        #: By user id, what the service has seen of the user, as a feature store would keep it.
        self._histories: dict[str, HistoryLists] = {}

    def serve(
        self,
        day: int,
        sessions: int,
        start_ms: int,
        client: RankerClient,
        log_dir: str | Path,
    ) -> ServedDay:
        """Serves a day.

        Args:
          day: Its number, part of the seed.
          sessions: How many come; at times of the day at random, of users at random. No user of
            the group that policies are judged on comes, as what is served is learnt from.
          start_ms: Unix time of the day's begin.
          client: Of the ranker.
          log_dir: Gets ``requests/``, ``feedback/`` and ``shown/``.

        Raises:
          RankingError: if a request is not answered.
        """
        rng = np.random.default_rng([self._seed, day])
        learnt = user_groups(self._simulator.world.user_ids).training
        users = drawn_users(learnt, sessions, rng)
        clock = _Clock(start_ms + np.sort(rng.integers(0, _DAY_MS // 2, size=sessions)))
        arms = [self._plan.arm(self._user_id(user)) for user in users.tolist()]
        session = self._simulator.reset(
            tf.constant(users, tf.int32),
            draws.session_seeds(as_seed([self._seed, day]), sessions),
            tf.constant(clock.of(np.arange(sessions))),
        )
        numbers, step, asked = np.arange(sessions), 0, 0
        watched = np.zeros(sessions)
        rows: list[dict[str, Any]] = []
        with (
            InteractionLogger(
                log_dir,
                seconds_per_file=3600.0,
                now_ms=lambda: clock.now,
                example_share=_EXAMPLE_SHARE,
            ) as logger,
            ThreadPoolExecutor(_THREADS) as pool,
        ):
            while len(numbers):
                going = numbers.tolist()
                contexts = [
                    self._context(day, number, int(users[number]), step, arms[number])
                    for number in going
                ]
                lanes = self._lanes(session, users[numbers], contexts, clock.of(numbers))
                rankings = list(pool.map(functools.partial(self._rank, client), lanes))
                chosen = [int(ranking.ranked_indices[0]) for ranking in rankings]
                following, outcome = self._simulator.step(session, tf.constant(chosen, tf.int32))
                answers = self._answers(outcome)
                for number, lane, ranking, shown, answer in zip(
                    going, lanes, rankings, chosen, answers, strict=True
                ):
                    clock.turn_to(number)
                    self._remember(lane, shown, clock.now, answer)
                    rows.append(self._impression(lane, shown, clock.now, answer))
                    logger.log_request(
                        lane.context,
                        lane.example,
                        ranking,
                        shown,
                        answer.duration_s,
                        ranking.log_density,
                    )
                    clock.pass_ms(round(1000 * answer.watch_s))
                    logger.log_feedback(lane.context.request_id, answer.reported())
                    clock.pass_ms(PAUSE_MS)
                    watched[number] += answer.watch_s
                asked += len(lanes)
                left = np.flatnonzero(~outcome.done.numpy())
                session = SessionState(*(tf.gather(part, left) for part in following))
                numbers, step = numbers[left], step + 1
        return ServedDay(asked, watched, np.asarray(arms), pl.DataFrame(rows), clock.last)

    def _lanes(
        self,
        session: SessionState,
        users: np.ndarray,
        contexts: list[RequestContext],
        times_ms: np.ndarray,
    ) -> list[_Lane]:
        candidates = self._simulator.candidates(session)
        slots, mask = candidates.slots.numpy(), candidates.mask.numpy()
        steps = [context.step for context in contexts]
        derived = derive(
            pl.DataFrame({"timestamp_ms": times_ms, "step": steps}),
            self._requests.spec.utc_offset_hours,
        ).to_dicts()
        lanes = []
        for row, context in enumerate(contexts):
            user, offered = int(users[row]), slots[row][mask[row]].tolist()
            example = self._requests.example(
                user, offered, derived[row], int(times_ms[row]), self._history(user)
            )
            lanes.append(_Lane(context, user, offered, example))
        return lanes

    def _history(self, user: int) -> HistoryLists:
        """What the service knows of a user's earlier impressions: the log's, then its own."""
        user_id = self._user_id(user)
        if user_id not in self._histories:
            self._histories[user_id] = self._requests.history(user)
        return self._histories[user_id]

    def _remember(self, lane: _Lane, shown: int, time_ms: int, answer: _Answer) -> None:
        feedback: dict[str, float] = {name: int(v) for name, v in answer.feedback.items()}
        for column in self._requests.spec.columns_of("watch_time"):
            feedback[column.name] = 1000 * answer.watch_s
        if answer.duration_s > 0:
            feedback[WATCH_SHARE] = min(answer.watch_s / answer.duration_s, MOST_WATCHED)
        row = self._requests.remembered(lane.user, lane.slots[shown], time_ms, feedback)
        known, length = self._history(lane.user), self._requests.state.length
        self._histories[lane.context.user_id] = {
            name: [*values, row[name]][-length:] for name, values in known.items()
        }

    def _answers(self, outcome: StepOutcome) -> list[_Answer]:
        names = self._simulator.world.feedback_names
        return [
            _Answer(dict(zip(names, feedback, strict=True)), watch_s, duration_s)
            for feedback, watch_s, duration_s in zip(
                outcome.feedback.numpy().tolist(),
                outcome.watch_s.numpy().tolist(),
                outcome.duration_s.numpy().tolist(),
                strict=True,
            )
        ]

    def _rank(self, client: RankerClient, lane: _Lane) -> Ranking:
        context, exploration = lane.context, None
        if context.arm != "policy":
            exploration = Exploration(request_seed(context.request_id), context.arm == "random")
        return client.rank(lane.example, exploration=exploration)

    def _context(self, day: int, number: int, user: int, step: int, arm: str) -> RequestContext:
        session = f"day{day}-{number}"
        return RequestContext(f"{session}-{step}", session, self._user_id(user), step, arm)

    def _user_id(self, user: int) -> str:
        return str(self._simulator.world.user_ids[user])

    def _impression(self, lane: _Lane, shown: int, time_ms: int, answer: _Answer) -> dict[str, Any]:
        """A row of the log, by the names of its files' columns."""
        user, slot = lane.user, lane.slots[shown]
        world, features = self._simulator.world, self._requests.columns(user)
        row = {}
        for column in self._requests.spec.columns:
            if column.role == "user":
                value = world.user_ids[user].item()
            elif column.role == "item":
                value = world.item_ids[user, slot].item()
            elif column.role == "timestamp":
                value = time_ms
            elif column.role == "label" and column.name in answer.feedback:
                value = int(answer.feedback[column.name])
            elif column.role == "watch_time":
                value = round(1000 * answer.watch_s)
            elif column.name in features:
                value = features[column.name][slot]
                value = value.decode() if isinstance(value, bytes) else value
            else:
                continue
            row[column.source] = value
        return row


def write_log(
    impressions: pl.DataFrame, side_tables_of: Path, folder: Path, file_name: str
) -> None:
    """Writes a day's folder: its log, and another day's other files.

    Args:
      impressions: Rows of the log.
      side_tables_of: Folder of the other day, whose logs are left out.
      folder: Appears whole.
      file_name: Of the log.
    """
    with atomic_path(folder) as partial:
        partial.mkdir()
        for path in side_tables_of.iterdir():
            if not path.name.startswith("log_") and path.suffix != ".json":
                os.link(path, partial / path.name)
        impressions.write_csv(partial / file_name)
