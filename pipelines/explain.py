"""Inputs of ``mtfx explain``: the ranker of a run, and states to draw its curves at."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import tensorflow as tf

from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.world import load_world
from mtfx.errors import DataError, UserError, require
from mtfx.evaluation.reports.fusion import SUMMARY_FILE
from mtfx.files import UNREADABLE, read_json
from mtfx.pipelines.fusion_settings import pool_sizes
from mtfx.pipelines.run_folder import in_run, report_error

#: Column, or key, of a user's name.
USER = "user"
#: Users that are drawn where none is named and there are many.
_DEFAULT_USERS = 4


class UserStates(NamedTuple):
    """States to draw curves at.

    Attributes:
      users: A name for each.
      states: float32 `[user, state]`.
    """

    users: tuple[str, ...]
    states: np.ndarray


class RankerOfRun(NamedTuple):
    """What the last fusion run of a directory left.

    Attributes:
      ranker: Directory of the SavedModel, pushed or not.
      simulator: Directory of the world that its policy was trained in.
      candidates: Per request, in that world.
    """

    ranker: str
    simulator: str
    candidates: int


def ranker_of_run(run_dir: str) -> RankerOfRun:
    """Finds the ranker of the last run of ``mtfx fusion``, whether it was blessed or not.

    Raises:
      UserError: if there was no such run, its report does not name a ranker, or what it names is
        not there any more.
    """
    path = Path(run_dir, "fusion", "report", SUMMARY_FILE)
    try:
        summary = read_json(path)
        ranker, simulator = (in_run(run_dir, summary[name]) for name in ("ranker", "simulator"))
        run = summary["config"]
        sizes = pool_sizes(run.get("response", ""), run.get("pool"), run["candidates"])
    except UNREADABLE as error:
        otherwise = "name an exported ranker with --ranker"
        raise report_error(run_dir, path, "mtfx fusion", error, otherwise) from error
    for what, place in (("ranker", ranker), ("simulator", simulator)):
        require(
            os.path.isdir(place),
            f"--run-dir {run_dir}: {place}, the {what} of its last fusion, is not there",
            "bring it back, or run the same `mtfx fusion` again, which makes what is missing",
        )
    return RankerOfRun(ranker, simulator, sizes.candidates)


def read_requests(path: Path, state_names: Sequence[str], users: Sequence[str] = ()) -> UserStates:
    """States from a file, or from a log of served requests.

    A CSV file has a column for each of ``state_names``. A JSON file has a list of objects with
    ``state``, the numbers in order. Both may have ``user``, a name; else the row's number is it. Of
    a log, the state of each user's last request is taken, as the ranker computed it.

    Args:
      path: ``.csv`` or ``.json``, or a directory of ``mtfx.serving.interaction_log``'s requests.
      state_names: What a state consists of.
      users: Of a log; some that are spread over it where none is named.

    Raises:
      UserError: naming file, row and column of what is wrong.
    """
    if path.is_dir():
        return _logged_states(path, state_names, users)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--requests {path} cannot be read: {error}") from error
    if path.suffix == ".json":
        rows = _json_rows(path, text, state_names)
    elif path.suffix == ".csv":
        rows = _csv_rows(path, text, state_names)
    else:
        raise UserError(f"--requests {path} is neither a .csv nor a .json file")
    require(bool(rows), f"--requests {path} holds no states")
    users, states = [], []
    for number, (user, values) in enumerate(rows, start=1):
        users.append(str(user) if user not in (None, "") else str(number))
        states.append(_numbers(path, number, values, state_names))
    return UserStates(tuple(users), np.asarray(states, np.float32))


def simulated_states(
    directory: str, state_names: Sequence[str], users: Sequence[str], candidates: int, seed: int
) -> UserStates:
    """States of a simulator's users at the first request of a session.

    Args:
      directory: Of the world.
      state_names: What the ranker's states consist of.
      users: Ids of users; some that are spread over the world where none is named.
      candidates: Per request: their mean predictions are a part of the state.
      seed: Of what the requests offer.

    Raises:
      DataError: if the world cannot be read, or has other states than the ranker.
      UserError: if there is no such user.
    """
    world = load_world(directory)
    simulator = Simulator(world, SimulatorConfig(candidates=candidates))
    if simulator.state_names != tuple(state_names):
        raise DataError(
            f"the simulator in {directory} has states of size {simulator.state_dim}, other than "
            f"the ranker's of size {len(state_names)}: it is of another ranking model"
        )
    known = [str(user) for user in world.user_ids]
    named = _named(users, known, "the simulator")
    index = tf.constant([known.index(user) for user in named], tf.int32)
    session = simulator.reset(index, tf.constant([seed, 0]))
    return UserStates(named, simulator.observe(session).numpy())


def _named(users: Sequence[str], known: list[str], where: str) -> tuple[str, ...]:
    """The users that were asked for, or some that are spread over those that are known."""
    spread = np.linspace(0, len(known) - 1, min(_DEFAULT_USERS, len(known))).astype(int)
    named = tuple(users) or tuple(known[index] for index in spread)
    missing = [user for user in named if user not in known]
    require(
        not missing,
        f"--user {', '.join(missing)}: {where} has no such user",
        f"its {len(known)} users are {', '.join(known[:5])}, …",
    )
    return named


def _logged_states(path: Path, names: Sequence[str], users: Sequence[str]) -> UserStates:
    files = sorted(path.glob("*.parquet"))
    require(bool(files), f"--requests {path} holds no Parquet file of served requests")
    columns = ["user_id", "timestamp_ms", "state"]
    try:
        rows = pl.concat(pl.read_parquet(file, columns=columns, glob=False) for file in files)
        last = rows.sort("timestamp_ms").unique("user_id", keep="last").sort("user_id")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"--requests {path} is no log of served requests: {error}") from error
    last = last.drop_nulls()
    named = _named(users, last["user_id"].to_list(), f"the log {path}")
    require(bool(named), f"--requests {path} holds no states")
    states = dict(zip(last["user_id"], last["state"].to_list(), strict=True))
    found = []
    for number, user in enumerate(named, start=1):
        require(
            len(states[user]) == len(names),
            f"--requests {path}: the last state of user {user} has {len(states[user])} numbers, "
            f"the ranker's have {len(names)}",
            "give the log of the requests that this ranker served",
        )
        found.append(_numbers(path, number, states[user], names))
    return UserStates(named, np.asarray(found, np.float32))


def _json_rows(path: Path, text: str, names: Sequence[str]) -> list[tuple[Any, list[Any]]]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UserError(f"--requests {path} is no JSON: {error}") from error
    require(isinstance(content, list), f"--requests {path} holds no list of requests")
    rows = []
    for number, request in enumerate(content, start=1):
        state = request.get("state") if isinstance(request, dict) else None
        require(
            isinstance(state, list) and len(state) == len(names),
            f"--requests {path}, request {number}: `state` must be a list of {len(names)} numbers",
            f"a state is {', '.join(names)}",
        )
        rows.append((request.get(USER), state))
    return rows


def _csv_rows(path: Path, text: str, names: Sequence[str]) -> list[tuple[Any, list[Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        rows = list(reader)
    except csv.Error as error:
        raise UserError(
            f"--requests {path} is no CSV behind line {reader.line_num}: {error}",
            "write the file anew, a request in each line",
        ) from error
    missing = [name for name in names if name not in (reader.fieldnames or ())]
    require(
        not missing,
        f"--requests {path} lacks the columns {', '.join(missing[:8])}"
        + (f" and {len(missing) - 8} more" if len(missing) > 8 else ""),
        f"a state is {', '.join(names)}",
    )
    for number, row in enumerate(rows, start=1):
        require(
            None not in row,
            f"--requests {path}, row {number} has more fields than the header",
        )
    return [(row.get(USER), [row[name] for name in names]) for row in rows]


def _numbers(path: Path, number: int, values: list[Any], names: Sequence[str]) -> list[float]:
    found = []
    for name, value in zip(names, values, strict=True):
        try:
            parsed = float(value)
        except (TypeError, ValueError):
            parsed = math.nan
        require(
            math.isfinite(parsed),
            f"--requests {path}, row {number}, column {name}: {value!r} is no finite number",
        )
        found.append(parsed)
    return found
