"""Summary of what InteractionGen read, left out and wrote, kept as JSON beside its splits."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from mtfx.components.beam_results import NO_SPLITS, Counts
from mtfx.components.interaction_gen.cuts import SPLITS
from mtfx.errors import DataError, in_words
from mtfx.files import read_json

FILE_NAME = "interactions.json"
#: A variance below this share of the squared mean is what float64 leaves of equal rewards.
_ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True)
class SplitFigures:
    """A split in figures.

    Attributes:
      sessions, transitions: How many.
      ended: Sessions whose last transition is among them.
      mean_reward: Per transition.
      reward_deviation: Standard deviation of a transition's reward; 0 where all are the same.
      mean_watch_s: Seconds per transition.
      feedback_rates: Share of the transitions with each feedback.
      behaviour: Transitions by behaviour policy.
      unknown_density: Transitions whose action's density was not logged; importance sampling cannot
        use them.
    """

    sessions: int
    transitions: int
    ended: int
    mean_reward: float
    reward_deviation: float
    mean_watch_s: float
    feedback_rates: dict[str, float]
    behaviour: dict[str, int]
    unknown_density: int


@dataclasses.dataclass(frozen=True)
class InteractionSummary:
    """Counts of one run.

    Attributes:
      source: ``simulator`` or ``served``.
      splits: Figures by split.
      files: Requests read and quarantined by file (served logs only).
      quarantined: Requests quarantined by reason.
      identical: Records dropped because they repeat another one to the letter.
      open: Requests left out because their session may go on after the log's end.
      data_span_ms: First and last request, Unix time in ms.
      config: The component's configuration.
      begun: Requests left out because their session began before the log.
    """

    source: str
    splits: dict[str, SplitFigures]
    files: dict[str, dict[str, int]]
    quarantined: dict[str, int]
    identical: int
    open: int
    data_span_ms: tuple[int, int]
    config: dict[str, Any]
    begun: int = 0

    def write(self, uri: str) -> None:
        """Writes the summary below an artifact's URI."""
        with tf.io.gfile.GFile(os.path.join(uri, FILE_NAME), "w") as file:
            file.write(json.dumps(dataclasses.asdict(self), indent=1))

    @classmethod
    def read(cls, uri: str) -> InteractionSummary:
        """Reads the summary of an Examples artifact."""
        values = read_json(os.path.join(uri, FILE_NAME))
        values["splits"] = {name: SplitFigures(**of) for name, of in values["splits"].items()}
        values["data_span_ms"] = tuple(values["data_span_ms"])
        return cls(**values)


def summarise(read: Counts, written: Counts, source: str, config: dict) -> InteractionSummary:
    """Arranges the workers' counts: of what was read, and of what was written."""
    files: dict[str, dict[str, int]] = {}
    quarantined: dict[str, int] = {}
    for key, number in sorted(read.sums.items()):
        if key[0] in ("read", "quarantined"):
            counts = files.setdefault(key[1], {"requests": 0, "quarantined": 0})
            counts["requests" if key[0] == "read" else "quarantined"] += number
        if key[0] == "quarantined":
            quarantined[key[2]] = quarantined.get(key[2], 0) + number
    assert written.first_ms is not None
    assert written.last_ms is not None
    return InteractionSummary(
        source=source,
        splits={split: _figures(written, split) for split in SPLITS},
        files=files,
        quarantined=quarantined,
        identical=read.sums[("identical",)],
        open=read.sums[("open",)],
        data_span_ms=(written.first_ms, written.last_ms),
        config=config,
        begun=read.sums[("begun",)],
    )


def check_bad_share(counts: Counts, limit: float, quarantine: str) -> None:
    """Raises DataError if more than ``limit`` of all requests read are quarantined."""
    read = sum(number for key, number in counts.sums.items() if key[0] == "read")
    bad, words = _bad(counts)
    if bad > limit * read:
        raise DataError(
            f"{_worst(counts)}{bad} of {read} served requests ({bad / read:.1%}) are bad, more "
            f"than the {limit:.1%} that max_bad_share allows: {words}. They are listed in "
            f"{quarantine}"
        )


def check_splits(read: Counts, written: Counts, paths: Sequence[str], quarantine: str) -> None:
    """Raises DataError if time cannot split the transitions, with what is known of the cause.

    Args:
      read: Counts of what was read; empty for a simulator.
      written: Counts of ``WriteTransitions``.
      paths: The log's files; none for a simulator.
      quarantine: Where the bad requests are listed.
    """
    found = [key[1] for key in written.sums if key[0] == NO_SPLITS]
    if not found:
        return
    message = found[0]
    if paths:
        number = sum(number for key, number in read.sums.items() if key[0] == "read")
        message += f". {number} requests were read from {', '.join(paths)}"
        bad, words = _bad(read)
        for count, what in (
            (bad, f"are bad: {words}; they are listed in {quarantine}"),
            (read.sums[("identical",)], "repeat another one to the letter"),
            (read.sums[("open",)], "belong to sessions that may go on"),
        ):
            message += f"; {count} of them {what}" if count else ""
    raise DataError(message)


def _bad(counts: Counts) -> tuple[int, str]:
    """How many requests are quarantined, and why."""
    reasons: Counter[str] = Counter()
    for key, number in sorted(counts.sums.items()):
        if key[0] == "quarantined":
            reasons[key[2]] += number
    return sum(reasons.values()), in_words(reasons)


def _worst(counts: Counts) -> str:
    """The file with most quarantined requests, and how many others have some."""
    files: Counter[str] = Counter()
    for key, number in sorted(counts.sums.items()):
        if key[0] == "quarantined":
            files[key[1]] += number
    if not files:
        return ""
    others = f" and {len(files) - 1} other file(s)" if len(files) > 1 else ""
    return f"{files.most_common(1)[0][0]}{others}: "


def check_rewards(summary: InteractionSummary) -> None:
    """Raises DataError if the rewards to learn from are all the same, so that they teach nothing.

    Those of the split that a policy is judged on are the judge's to look at.
    """
    train = summary.splits["train"]
    if train.reward_deviation == 0.0:
        raise DataError(
            f"all {train.transitions:,} rewards to learn from are {train.mean_reward:.4g}: nothing "
            "can be learned from rewards that do not differ (was the feedback joined to its "
            "requests?)"
        )


def check_densities(summary: InteractionSummary, estimator: str) -> None:
    """Raises DataError if an estimator needs densities that the judged split lacks.

    Args:
      summary: Of the log.
      estimator: Its name; empty for one that needs none.
    """
    judged = summary.splits["eval"]
    if estimator and judged.unknown_density:
        raise DataError(
            f"the estimator {estimator} needs the density of every logged action, and "
            f"{judged.unknown_density:,} of the {judged.transitions:,} held-out requests have no "
            "log_density: log it with the action, or take --estimator conservative or fqe"
        )


def _figures(counts: Counts, split: str) -> SplitFigures:
    sums = counts.sums
    number = max(sums[("transitions", split)], 1)
    mean = sums[("reward", split)] / number
    variance = sums[("squared_reward", split)] / number - mean**2

    def by_name(kind: str) -> dict[str, float]:
        return {key[2]: sums[key] for key in sorted(sums) if key[:2] == (kind, split)}

    return SplitFigures(
        sessions=sums[("sessions", split)],
        transitions=sums[("transitions", split)],
        ended=sums[("ended", split)],
        mean_reward=mean,
        reward_deviation=0.0 if variance <= _ROUNDING * mean**2 else math.sqrt(variance),
        mean_watch_s=sums[("watch_s", split)] / number,
        feedback_rates={name: total / number for name, total in by_name("feedback").items()},
        behaviour={name: int(total) for name, total in by_name("behaviour").items()},
        unknown_density=sums[("unknown_density", split)],
    )
