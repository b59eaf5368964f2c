"""Record of every day's outcome, in a file that the next run of the daily loop begins with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal, get_args

from mtfx.errors import UserError, why_unreadable
from mtfx.evaluation.reports.daily import Day, Model, Status
from mtfx.files import UNREADABLE, read_json, write_json
from mtfx.pipelines.run_folder import in_run

FILE = "daily.json"


@dataclasses.dataclass
class DailyState:
    """All days so far.

    Attributes:
      days: By span.
    """

    days: dict[int, Day] = dataclasses.field(default_factory=dict)

    def record(self, day: Day) -> None:
        """Adds a day, or replaces what was known of it."""
        self.days[day.span] = day

    @property
    def newest_done(self) -> int | None:
        """The newest day whose models were trained."""
        return max((d.span for d in self.days.values() if d.status == "done"), default=None)

    def window(self, span: int, size: int) -> tuple[int, ...]:
        """The last days before ``span`` that passed, ascending, at most ``size - 1``."""
        return self._last_passed(span, size - 1)

    def before_window(self, span: int, size: int, days: int) -> tuple[int, ...]:
        """The last days before :meth:`window` that passed, ascending, at most ``days``."""
        both = self._last_passed(span, size - 1 + days)
        return both[: len(both) - len(self.window(span, size))]

    def _last_passed(self, span: int, number: int) -> tuple[int, ...]:
        passed = sorted(d.span for d in self.days.values() if d.passed and d.span < span)
        return tuple(passed[max(len(passed) - number, 0) :])

    def statistics_before(self, span: int) -> str:
        """Statistics of the last day before ``span`` that passed; empty if none did."""
        earlier = [d for d in self.days.values() if d.passed and d.span < span]
        return max(earlier, key=lambda day: day.span).statistics if earlier else ""

    def model_before(self, span: int, kind: Literal["ranking", "policy"]) -> str:
        """Artifact of the last blessed model of a day before ``span``; empty if there is none."""
        blessed = [
            day for day in self.days.values() if day.span < span and getattr(day, kind).blessed
        ]
        if not blessed:
            return ""
        return getattr(max(blessed, key=lambda day: day.span), kind).artifact

    def write(self, directory: str | Path) -> None:
        """Writes ``daily.json``, whole or not at all."""
        days = [dataclasses.asdict(self.days[span]) for span in sorted(self.days)]
        write_json(Path(directory, FILE), {"days": days})

    @classmethod
    def read(cls, directory: str | Path) -> DailyState:
        """Reads what :meth:`write` wrote; nothing yet is no day.

        Raises:
          UserError: if the file is damaged.
        """
        path = Path(directory, FILE)
        if not path.exists():
            return cls()
        try:
            days = read_json(path)["days"]
            found = [_day(values, directory) for values in days]
        except UNREADABLE as error:
            raise UserError(
                f"{path}, the record of the daily loop, {why_unreadable(error)}",
                "restore it from a copy; without it the days are run anew",
            ) from error
        return cls({day.span: day for day in found})


def _day(values: dict[str, Any], directory: str | Path) -> Day:
    """A day; paths follow the run's folder, which may have had another name."""
    if values["status"] not in get_args(Status):
        raise TypeError(f"status {values['status']!r}")
    models = {
        name: Model(**{**values[name], **_places(values[name], ("artifact", "pushed"), directory)})
        for name in ("ranking", "policy")
    }
    windows = {name: tuple(values[name]) for name in ("window", "served_window")}
    places = _places(values, ("statistics", "ranker", "ranker_policy"), directory)
    return Day(**{**values, **models, **windows, **places})


def _places(
    values: dict[str, Any], names: tuple[str, ...], directory: str | Path
) -> dict[str, str]:
    return {name: in_run(directory, values[name]) for name in names if name in values}
