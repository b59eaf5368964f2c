"""Importance weights of sessions, and the estimates and figures made of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from mtfx.evaluation.ope.config import ImportanceSamplingConfig
from mtfx.evaluation.ope.data import OfflineData
from mtfx.evaluation.ope.policies import DensityPolicy

#: Log weights beyond this are lowered to it, so that products of weights stay finite.
_MAX_LOG_WEIGHT = 230.0
#: Transitions whose densities are asked for at once.
_CHUNK = 8192


@dataclasses.dataclass(frozen=True)
class SessionWeights:
    """Cumulative importance ratios rho_{0:t} = Π π(a|s) / μ(a|s) of each session.

    Attributes:
      current: rho_{0:t}, float64 `[session, step]`, after clipping; past a session's end its last.
      previous: rho_{0:t-1}, likewise, 1 at step 0.
      discount: Π over the steps before t of gamma times the discount, float64 `[session, step]`; 0
        past a session's end.
      mask: bool `[session, step]`, whether the session has that step.
      rows: int64 `[session, step]`, rows of the data; see ``SessionGrid``.
      diagnostics: See :func:`session_weights`.
    """

    current: np.ndarray
    previous: np.ndarray
    discount: np.ndarray
    mask: np.ndarray
    rows: np.ndarray
    diagnostics: dict[str, Any]


def session_weights(
    data: OfflineData, policy: DensityPolicy, config: ImportanceSamplingConfig
) -> SessionWeights:
    """Weighs the sessions of the behaviour policy as if they were the policy's.

    Diagnostics: ``effective_sample_size`` of the sessions, (Σ w)² / Σ w² of the whole sessions'
    weights before clipping (Kong, 1992): near the number of sessions where both policies agree, 1
    where one session decides; ``largest_weight``; ``mean_weight``, which is 1 in expectation;
    ``clipped_share`` of the steps' weights and ``max_weight``; ``unfinished_sessions``, whose log
    stops before the session's end and which count as if it had ended there.

    Args:
      data: Transitions with the behaviour policy's densities.
      policy: The policy to value.
      config: Discount and clipping.

    Raises:
      ValueError: if a behaviour density is unknown, or one of the policy's is undefined.
    """
    behaviour = data.log_density.numpy().astype(np.float64)
    unknown = int(np.isnan(behaviour).sum())
    if unknown:
        raise ValueError(
            f"importance weights need the density of every logged action; {unknown:,} of "
            f"{len(behaviour):,} transitions have none: log it with the action (log_density), or "
            "use the estimators conservative or fqe, which need none"
        )
    target = _policy_log_density(data, policy)
    if np.isnan(target).any():
        raise ValueError(
            f"the policy's log_density is NaN for {int(np.isnan(target).sum()):,} of "
            f"{len(target):,} logged actions"
        )
    grid = data.grid()
    ratios = np.where(grid.mask, (target - behaviour)[grid.rows], 0.0)
    log_weights = np.cumsum(ratios, axis=1)
    limit = _MAX_LOG_WEIGHT
    if config.max_weight is not None:
        limit = min(limit, float(np.log(config.max_weight)))
    current = np.exp(np.minimum(log_weights, limit))
    previous = np.concatenate([np.ones((len(current), 1)), current[:, :-1]], axis=1)
    discounts = data.discounts.numpy().astype(np.float64)
    steps = np.where(grid.mask, config.gamma * discounts[grid.rows], 0.0)
    discount = np.cumprod(np.concatenate([np.ones((len(steps), 1)), steps[:, :-1]], axis=1), axis=1)
    last = data.discounts.numpy()[grid.rows[np.arange(len(steps)), grid.mask.sum(axis=1) - 1]]
    return SessionWeights(
        current=current,
        previous=previous,
        discount=np.where(grid.mask, discount, 0.0),
        mask=grid.mask,
        rows=grid.rows,
        diagnostics={
            **_weight_figures(log_weights[:, -1]),
            "clipped_share": float((log_weights > limit)[grid.mask].mean()),
            "max_weight": config.max_weight,
            "unfinished_sessions": int((last > 0).sum()),
        },
    )


def weighted_value(
    weights: SessionWeights,
    residuals: np.ndarray,
    baselines: np.ndarray,
    counts: np.ndarray,
    *,
    self_normalised: bool,
) -> np.ndarray:
    """Σ_t gamma^t [rho_{0:t} δ_t + rho_{0:t-1} V_t], the mean over sessions.

    With rewards as residuals δ and no baseline V it is per-decision importance sampling (Precup,
    2000); with δ = r - Q(s, a) and V = E Q(s, π(s)) it is doubly robust (Jiang and Li, 2016).
    Self-normalised, rho is divided by its mean over the sessions at step t (Thomas, 2015; Thomas
    and Brunskill, 2016, equation 9). A session that has ended stays among them with its last
    weight.

    Args:
      weights: Of the sessions.
      residuals: δ, float64 `[session, step]`; 0 past a session's end.
      baselines: V, likewise.
      counts: How often each session counts, `[resample, session]`.
      self_normalised: See above.

    Returns:
      float64 `[resample]`; NaN where all weights of a step are 0.
    """
    rewards = weights.discount * residuals
    values = weights.discount * baselines
    if not self_normalised:
        per_session = (weights.current * rewards + weights.previous * values).sum(axis=1)
        return counts @ per_session / counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        by_step = (counts @ (weights.current * rewards)) / (counts @ weights.current)
        by_step += (counts @ (weights.previous * values)) / (counts @ weights.previous)
    return by_step.sum(axis=1)


def _policy_log_density(data: OfflineData, policy: DensityPolicy) -> np.ndarray:
    parts = [
        policy.log_density(
            data.states[start : start + _CHUNK], data.actions[start : start + _CHUNK]
        ).numpy()
        for start in range(0, data.num_transitions, _CHUNK)
    ]
    return np.concatenate(parts).astype(np.float64)


def _weight_figures(log_weights: np.ndarray) -> dict[str, float]:
    """Figures of whole sessions' weights, from their logarithms, which do not overflow."""
    total, squares = (_log_sum_exp(power * log_weights) for power in (1.0, 2.0))
    size = float(np.exp(2.0 * total - squares)) if np.isfinite(squares) else 0.0
    top = float(np.max(log_weights))
    return {
        "effective_sample_size": size,
        "largest_weight": float(np.exp(min(top, _MAX_LOG_WEIGHT))),
        "mean_weight": float(np.exp(min(total - np.log(len(log_weights)), _MAX_LOG_WEIGHT))),
    }


def _log_sum_exp(values: np.ndarray) -> float:
    top = float(np.max(values))
    if not np.isfinite(top):
        return top
    return top + float(np.log(np.sum(np.exp(values - top))))
