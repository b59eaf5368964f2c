"""The report of an experiment: a page, the same with every value as JSON, and the closing words."""

from __future__ import annotations

import dataclasses
import datetime
import os
from pathlib import Path
from typing import Any

from rich.console import Console

from mtfx.experiments.engine.data import TrialData
from mtfx.experiments.engine.design import ExperimentOptions
from mtfx.experiments.engine.progress import clock
from mtfx.experiments.engine.results import plain
from mtfx.experiments.engine.scheduler import TrialOutcomes
from mtfx.experiments.engine.table_text import console_legend, console_tables, markdown
from mtfx.experiments.engine.tables import ResultTable
from mtfx.files import write_atomically, write_json


@dataclasses.dataclass(frozen=True)
class ExperimentReport:
    """What an experiment found, and all that is needed to repeat it.

    Attributes:
      name: The experiment's name.
      description: What it compares.
      options: What was chosen.
      data: What the trials learned from.
      tables: The filled tables.
      outcomes: What became of the trials.
      plots: Paths of the drawings.
      command: The command line that repeats it.
      code_version: Of this run; earlier runs' trials may be of another.
    """

    name: str
    description: str
    options: ExperimentOptions
    data: TrialData
    tables: tuple[ResultTable, ...]
    outcomes: TrialOutcomes
    plots: tuple[str, ...]
    command: str
    code_version: str

    @property
    def code_versions(self) -> tuple[str, ...]:
        """Of the code that ran the trials."""
        return tuple(sorted({r.code_version for r in self.outcomes.records.values()}))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the figures less than they seem."""
        found = []
        if len(self.code_versions) > 1:
            found.append(
                "the trials were run by different code: " + ", ".join(self.code_versions) + "; "
                "another --output-dir runs all of them anew"
            )
        if self.outcomes.failures:
            found.append(
                f"{len(self.outcomes.failures)} trial(s) failed; their figures are missing"
            )
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return plain(
            {
                "experiment": self.name,
                "description": self.description,
                "options": dataclasses.asdict(self.options),
                "data": dataclasses.asdict(self.data),
                "tables": [table.to_dict() for table in self.tables],
                "trials": {
                    key: {
                        "trial": record.trial,
                        "code_version": record.code_version,
                        "seconds": record.result["seconds"],
                        "notes": record.result.get("notes", {}),
                    }
                    for key, record in self.outcomes.records.items()
                },
                "failures": [dataclasses.asdict(failure) for failure in self.outcomes.failures],
                "not_run": list(self.outcomes.not_run),
                "warnings": list(self.warnings),
                "command": self.command,
                "code_version": self.code_version,
                "made": datetime.datetime.now(datetime.timezone.utc).isoformat(" ", "seconds"),
            }
        )

    def write(self, directory: str) -> tuple[Path, Path]:
        """Writes ``report.md`` and ``report.json``; returns their paths."""
        page, values = Path(directory, "report.md"), Path(directory, "report.json")
        write_atomically(page, self.to_markdown(directory))
        write_json(values, self.to_dict())
        return page, values

    def to_markdown(self, directory: str) -> str:
        """The page, with links to drawings relative to ``directory``."""
        lines = [f"# {self.description}", ""]
        lines += [f"> **Warning:** {warning}.\n" for warning in self.warnings]
        lines += [markdown(table) for table in self.tables]
        for path in self.plots:
            name = Path(path).stem.replace("-", " ")
            lines.append(f"![{name}]({os.path.relpath(path, directory)})\n")
        lines += ["## How it was made", "", *self._facts()]
        if self.outcomes.failures:
            lines += ["", "## Trials that failed", ""]
            lines += [f"- {f.key}: {f.error} (log: {f.log_file})" for f in self.outcomes.failures]
            lines += [f"- {key}: not run, it needs a failed one" for key in self.outcomes.not_run]
        return "\n".join(lines) + "\n"

    def _facts(self) -> list[str]:
        settings = ", ".join(f"{name} = {value}" for name, value in self.options.settings)
        seconds = sum(r.result["seconds"] or 0.0 for r in self.outcomes.records.values())
        return [
            *(f"- {fact}" for fact in self.data.facts()),
            f"- seeds: {', '.join(map(str, self.options.seeds))}",
            f"- settings: {settings or 'defaults'}",
            f"- trials: {len(self.outcomes.records)} in {clock(seconds)} of training",
            f"- code version: {', '.join(self.code_versions) or self.code_version}",
            f"- command: `{self.command}`",
        ]


def print_report(console: Console, report: ExperimentReport, directory: Path) -> None:
    """Prints tables, warnings, failed trials with their logs, and where the report is."""
    for table in report.tables:
        for shown in console_tables(table):
            console.print()
            console.print(shown)
        console.print(console_legend(table), style="dim", markup=False, highlight=False)
    for warning in report.warnings:
        console.print(f"\nwarning: {warning}", style="yellow", markup=False, highlight=False)
    for failure in report.outcomes.failures:
        console.print(f"failed: {failure.key}: {failure.error}", style="red", markup=False)
        console.print(f"  log: {failure.log_file}", markup=False, soft_wrap=True)
    for key in report.outcomes.not_run:
        console.print(f"not run: {key}, which needs a trial that failed", markup=False)
    console.print(f"\nreport: {directory / 'report.md'}", markup=False, soft_wrap=True)
