"""The data that the trials of an experiment share, as plain values that survive a process."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, ClassVar, Protocol

SPLITS = ("train", "eval", "test")


class TrialData(Protocol):
    """What the trials of a kind of experiment learn from: a frozen dataclass of plain values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def fingerprint(self) -> str:
        """Changes with the content; trials of other data are not comparable."""
        ...

    def facts(self) -> tuple[str, ...]:
        """What a report says about it, a line each."""
        ...


@dataclasses.dataclass(frozen=True)
class PreparedData:
    """Sessions that are read, split and transformed, ready to be trained on.

    Attributes:
      dataset: Registry name, or ``module:ATTRIBUTE`` of a ``DatasetSpec``.
      tasks: Names of the tasks, in the order of the models' columns.
      transform_graph: Directory of Transform's ``transform_graph``, for ``TFTransformOutput``.
      splits: Glob of each split's gzipped TFRecord files of transformed sessions, by the names
        ``train``, ``eval`` and ``test``.
      sessions: Sessions by split.
      impressions: Impressions by split.
      data_span: First and last impression (UTC, ISO 8601), or None for an empty log.
      fingerprint: Changes with the content of the files; trials of other data are not comparable.
    """

    dataset: str
    tasks: tuple[str, ...]
    transform_graph: str
    splits: dict[str, str]
    sessions: dict[str, int] = dataclasses.field(default_factory=dict)
    impressions: dict[str, int] = dataclasses.field(default_factory=dict)
    data_span: tuple[str, str] | None = None
    fingerprint: str = ""

    def __post_init__(self) -> None:
        missing = [split for split in SPLITS if split not in self.splits]
        if missing:
            raise ValueError(f"prepared data lacks the splits {', '.join(missing)}")

    def facts(self) -> tuple[str, ...]:
        """See :class:`TrialData`."""
        sizes = ", ".join(
            f"{split} {self.sessions[split]:,} sessions, {self.impressions[split]:,} impressions"
            for split in self.splits
            if split in self.sessions
        )
        span = " to ".join(self.data_span) if self.data_span else "unknown"
        return (
            f"data set: {self.dataset}, tasks {', '.join(self.tasks)}",
            f"data span: {span}; {sizes or 'sizes unknown'}",
            f"data fingerprint: {self.fingerprint}",
        )

    def to_json(self) -> str:
        """Every value, as JSON with sorted keys."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, indent=2)

    @classmethod
    def from_json(cls, text: str) -> PreparedData:
        """The inverse of :meth:`to_json`."""
        values = json.loads(text)
        values["tasks"] = tuple(values["tasks"])
        if values["data_span"] is not None:
            values["data_span"] = tuple(values["data_span"])
        return cls(**values)
