"""Response of a world: its model is fitted, and gives the tables for the users' pools."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from mtfx.environments.simulator.fitted_response import FittedResponse, FittedSettings
from mtfx.environments.simulator.fitting.config import WorldConfig
from mtfx.environments.simulator.fitting.log_data import WorldData
from mtfx.environments.simulator.fitting.pools import Pools, pairs
from mtfx.environments.simulator.fitting.response import FittedNetwork, ResponseRows, fit_response
from mtfx.environments.simulator.fitting.session_dynamics import SessionDynamics, fit_sessions
from mtfx.environments.simulator.satisfaction import NEUTRAL

#: Where the session stands is no input: the simulator's satisfaction takes its place.
_SESSION_FEATURES = ("step", "step_bucket")
#: Shares of the random exposures to fit and to calibrate; the rest checks. The quantiles of watch
#: times need many of the second.
_FIT, _CALIBRATE = 0.6, 0.25
_USERS_AT_ONCE = 100


@dataclasses.dataclass(frozen=True)
class ResponseFit:
    """A fitted response model.

    Attributes:
      source: What it was fitted on, in words.
      rows: Impressions to fit, to calibrate and to check.
      pretraining_rows: Impressions of the standard log that were learned from before.
      network: Of feedback and watch time.
      dynamics: Of sessions.
    """

    source: str
    rows: tuple[int, int, int]
    pretraining_rows: int
    network: FittedNetwork
    dynamics: SessionDynamics

    def summary(self) -> dict[str, Any]:
        """For ``fit.json``: JSON values."""
        dynamics = {
            field.name: getattr(self.dynamics, field.name)
            for field in dataclasses.fields(self.dynamics)
            if field.name not in ("moods", "leave_offsets")
        }
        return {
            "source": self.source,
            "rows": dict(zip(("fit", "calibrate", "check"), self.rows, strict=True)),
            "pretraining_rows": self.pretraining_rows,
            "losses": list(self.network.losses),
            "pretraining_epochs": self.network.pretraining_epochs,
            "calibration": [dataclasses.asdict(found) for found in self.network.calibration],
            "watch_s": self.network.watch_s,
            "sessions": dynamics,
        }


def fit_response_model(
    data: WorldData, config: WorldConfig, on_epoch_end: Callable[[int, float], None]
) -> ResponseFit:
    """Fits feedback and watch time on random exposures, and the rest on the log's sessions.

    The network learns from the training split before; see
    :mod:`mtfx.environments.simulator.fitting.response`. Without random exposures, or with fewer
    than ``min_random_rows``, the training split takes their place, and the model inherits the
    choices of whoever ranked it.

    Args:
      data: The log.
      config: Of the world.
      on_epoch_end: Called with the epoch and the loss.
    """
    source, parts, pretrain = _rows(data, config)
    names = [feature.name for feature in data.spec.features]
    inputs = data.inputs_of(tuple(n for n in names if n not in _SESSION_FEATURES))
    fitted = fit_response(
        inputs, data.rule.feedback_names, *parts, config.response_training, on_epoch_end, pretrain
    )
    logits, _ = fitted.predict(data.transform(data.splits["eval"]))
    dynamics = fit_sessions(
        data.rule,
        data.sessions("train"),
        data.sessions("eval"),
        logits,
        config.carry_over,
        config.leave_below,
    )
    fit, calibrate, check = (len(part.feedback) for part in parts)
    before = 0 if pretrain is None else len(pretrain.feedback)
    return ResponseFit(source, (fit, calibrate, check), before, fitted, dynamics)


def response_tables(data: WorldData, fit: ResponseFit, pools: Pools) -> FittedResponse:
    """The response model of the users' pools.

    Args:
      data: The log.
      fit: What was fitted.
      pools: Users and items.
    """
    users, slots = pools.items.shape
    logits = np.empty((users, slots, len(data.rule.feedback_names)), np.float32)
    bins = np.empty((users, slots, 2), np.float32)
    for first in range(0, users, _USERS_AT_ONCE):
        last = min(first + _USERS_AT_ONCE, users)
        found = fit.network.predict(data.transform(pairs(data, pools, first, last)))
        logits[first:last] = found[0].reshape(last - first, slots, -1)
        bins[first:last] = found[1].reshape(last - first, slots, 2)
    found, ids = fit.dynamics, pools.requests["user_id"].to_list()
    tables = {
        "logits": logits,
        "watch_bin": bins,
        "watch_quantiles": fit.network.watch.quantiles,
        "duration_s": data.duration_s(data.catalogue)[pools.items],
        "mood": np.array([found.moods.get(user, NEUTRAL) for user in ids]),
        "leave_logits": found.leave_intercept
        + np.array([found.leave_offsets.get(user, 0.0) for user in ids]),
    }
    settings = FittedSettings(
        feedback_names=data.rule.feedback_names,
        slopes=found.slopes,
        share_with_primary=found.share_with_primary,
        satisfaction_weights=data.rule.weights,
        negative=data.rule.negative,
        reward_shift=found.reward_shift,
        has_watch_time=data.watch_column is not None,
        watch_feedback=data.rule.watch_feedback if data.watch_column is not None else "",
        mood_sd=found.mood_sd,
        leave_slope=found.leave_slope,
        neutral=NEUTRAL,
    )
    return FittedResponse(tables, settings)


def _rows(
    data: WorldData, config: WorldConfig
) -> tuple[str, tuple[ResponseRows, ResponseRows, ResponseRows], ResponseRows | None]:
    """Their source, those to fit, calibrate and check, and those to learn from before."""
    exposures = data.exposures
    least = config.response_training.min_random_rows
    if exposures is not None and exposures.frame.height >= least:
        size = exposures.frame.height
        rows = data.response_rows(exposures.frame)
        order = np.random.default_rng([config.seed, 2]).permutation(size)
        ends = [int(_FIT * size), int((_FIT + _CALIBRATE) * size)]
        fit, calibrate, check = (rows.take(part) for part in np.split(order, ends))
        text = f"{size:,} random exposures"
        text += "" if exposures.complete else ", the first of the log"
        text += f" ({exposures.rejected:,} bad rows left out)" if exposures.rejected else ""
        standard = data.response_rows(data.splits["train"])
        text += f", after {len(standard.feedback):,} impressions of the training split"
        return text, (fit, calibrate, check), standard
    fit, calibrate, check = (
        data.response_rows(data.splits[split]) for split in ("train", "eval", "test")
    )
    why = "there are no random exposures"
    if exposures is not None:
        why = f"of {exposures.frame.height:,} random exposures, fewer than {least:,}"
    return f"the training split, as {why}", (fit, calibrate, check), None
