"""The blessing of a fusion policy: whether it may replace the current one, and why not."""

from __future__ import annotations

import math
from typing import NamedTuple

from mtfx.evaluation.config import BlessingConfig
from mtfx.evaluation.ope.base import Estimate
from mtfx.evaluation.policies.logged_return import is_finite, lack_of_evidence
from mtfx.evaluation.policies.report import ActionReport


class Verdict(NamedTuple):
    """The decision.

    Attributes:
      blessed: Whether the policy may be pushed.
      reasons: Why not, one sentence each; empty if it may.
      notes: What else a reader must know.
      bar: What the lower bound of the policy's value was not to be below, in units of reward; None
        where the log is no evidence.
      bar_source: Whose figure the bar is, in words.
    """

    blessed: bool
    reasons: list[str]
    notes: list[str]
    bar: float | None
    bar_source: str


def guard_actions(actions: ActionReport, config: BlessingConfig) -> list[str]:
    """What is wrong with a policy's actions alone, one sentence each."""
    reasons = []
    if actions.finite_share < 1.0:
        reasons.append(
            f"the policy's action is NaN or infinite in {1.0 - actions.finite_share:.2%} of "
            f"{actions.num_states:,} logged states"
        )
    if actions.out_of_bounds_share > 0.0:
        reasons.append(
            f"{actions.out_of_bounds_share:.2%} of the policy's actions lie outside [-1, 1]"
        )
    if actions.is_saturated:
        reasons.append("the policy has collapsed: its actions are at their bounds in all states")
    elif actions.is_constant and not config.allow_constant:
        reasons.append(
            "the policy has collapsed: its action is the same in all states (allow_constant "
            "permits this, for policies that are not personal by design)"
        )
    if actions.outside_share > config.max_outside_share:
        reasons.append(
            f"{actions.outside_share:.1%} of the policy's actions are beyond what was logged "
            f"(quantiles 1% to 99%), more than the allowed {config.max_outside_share:.1%}: no "
            "estimate can be trusted there"
        )
    return reasons


def decide(
    actions: ActionReport,
    candidate: Estimate | None,
    current: Estimate | None,
    logged: Estimate,
    config: BlessingConfig,
    order_agreement: float | None = None,
    failure: str = "",
) -> Verdict:
    """Blesses a policy or refuses it.

    Args:
      actions: The new policy's actions.
      candidate: Its value by the deciding estimator; None where its actions forbid an estimate.
        Above its diagnostic ``largest_return``, where it has one, it is refused.
      current: The current policy's, by the same estimator, data and seed; None if there is none.
      logged: What the logging policy earned, from ``mtfx.evaluation.policies.logged_return``.
      config: The rule.
      order_agreement: See :class:`BlessingConfig`; None for a policy whose fusion is the log's.
      failure: Why there is no ``candidate``, if the estimator refused the data or the policy.

    Returns:
      The decision; refused, it has at least one reason.
    """
    reasons, notes = [config.refusal] if config.refusal else [], []
    reasons += guard_actions(actions, config)
    if order_agreement is not None and not order_agreement >= config.min_order_agreement:
        reasons.append(
            "the policy's own fusion puts what the log showed first in "
            f"{order_agreement:.1%} of its pairs with other candidates, fewer than the required "
            f"{config.min_order_agreement:.1%}: the estimate is of another ranking (train longer, "
            "with more warmup_steps, or from the policy that served the log, --base-policy)"
        )
    if (lack := lack_of_evidence(logged)) is not None:
        return Verdict(False, [*reasons, lack], notes, None, "")
    bar, source = _bar(current, logged, config, notes)
    if candidate is None:
        if failure:
            reasons.append(f"the policy's value could not be estimated: {failure}")
        reasons = reasons or ["the policy's value was not estimated"]
        return Verdict(False, reasons, notes, bar, source)
    if not is_finite(candidate):
        reasons.append("the estimate of the policy's value is not finite")
        return Verdict(False, reasons, notes, bar, source)
    if _is_impossible(candidate):
        reasons.append(
            f"the lower bound of the policy's value, {candidate.low:.4g}, is more than the largest "
            "logged reward at every request would add up to, "
            f"{candidate.diagnostics['largest_return']:.4g}: the fit of the estimate diverged, as "
            "it may for actions that the log does not hold"
        )
    sessions = candidate.diagnostics.get("effective_sample_size", math.inf)
    if not sessions >= config.min_effective_sessions:
        reasons.append(
            f"the estimate rests on {sessions:.3g} of {candidate.num_sessions:,} sessions, fewer "
            f"than the required {config.min_effective_sessions:.4g}: the log has too few actions "
            "such as the policy's (log more, or take --estimator conservative)"
        )
    if config.min_value is not None and candidate.low < config.min_value:
        reasons.append(
            f"the lower bound of the policy's value, {candidate.low:.4g}, is below the bound "
            f"{config.min_value:.4g}"
        )
    if candidate.low < bar:
        allowed = f" less {config.max_drop:.4g}" if config.max_drop else ""
        reasons.append(
            f"the lower bound of the policy's value, {candidate.low:.4g}, is below {source}, "
            f"{bar + config.max_drop:.4g}{allowed}"
        )
    if not candidate.diagnostics.get("converged", True):
        notes.append(
            "the fit of the estimate had not converged: the value moved by "
            f"{candidate.diagnostics['value_drift']:.3g} in the second half of the steps, and is "
            f"{candidate.diagnostics['bellman_gap']:.3g} from where the fit would end"
        )
    if actions.is_constant and config.allow_constant:
        notes.append("the policy takes the same action in all states, as is allowed here")
    return Verdict(not reasons, reasons, notes, bar, source)


def _bar(
    current: Estimate | None, logged: Estimate, config: BlessingConfig, notes: list[str]
) -> tuple[float, str]:
    """What the candidate's lower bound must not be below, and whose figure it is."""
    what = {"low": "lower bound", "value": "value"}[config.reference]
    earned = f"what the log's own policy earned in {logged.num_sessions:,} held-out sessions"
    if config.reference == "low":
        earned += f" (lower bound of the mean {logged.value:.4g})"
    fallback = getattr(logged, config.reference) - config.max_drop, earned
    if current is None:
        notes.append(f"there is no current policy to compare with; the bar is {earned}")
        return fallback
    reference = getattr(current, config.reference)
    if not math.isfinite(reference):
        notes.append(
            f"the current policy's {what} is not finite: it was not compared with; the bar is "
            f"{earned}"
        )
        return fallback
    if _is_impossible(current):
        notes.append(
            f"the current policy's {what}, {reference:.4g}, is more than the largest logged reward "
            f"at every request would add up to: it was not compared with; the bar is {earned}"
        )
        return fallback
    return reference - config.max_drop, f"the current policy's {what}"


def _is_impossible(estimate: Estimate) -> bool:
    most = estimate.diagnostics.get("largest_return")
    return most is not None and estimate.low > most
