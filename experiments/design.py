"""What an experiment compares: tables, their columns, and the trials behind each column."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from experiments.scheduler import Trial
from experiments.settings import Value


@dataclasses.dataclass(frozen=True)
class ExperimentOptions:
    """What the command line may choose of an experiment.

    Attributes:
      dataset: Registry name of the data set, by which the paper's figures are found.
      tasks: Names of the tasks, in order.
      seeds: Each column is trained once with each.
      backbones: Names of the backbones; empty takes the experiment's own.
      settings: Overrides of the trials' settings.
    """

    dataset: str
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    backbones: tuple[str, ...] = ()
    settings: tuple[tuple[str, Value], ...] = ()


#: Figures of the paper: by task and figure.
PaperFigures = Mapping[tuple[str, str], float]


@dataclasses.dataclass(frozen=True)
class Column:
    """One method of a table.

    Attributes:
      title: As shown; unique in its table.
      trials: One per seed, in the order of the seeds.
      against: By name of the comparison, the title of the column it is compared with, for example
        ``{"backbone": "ple"}``.
      paper: What the paper reports for it.
    """

    title: str
    trials: tuple[Trial, ...]
    against: dict[str, str] = dataclasses.field(default_factory=dict)
    paper: PaperFigures = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class TableDesign:
    """A table to be filled: rows are tasks and figures.

    Attributes:
      title: As shown above it.
      columns: From left to right.
      paper_data: Name of the data set of the paper's figures; empty if it has none for this.
      notes: What a reader must know to read it rightly.
    """

    title: str
    columns: tuple[Column, ...]
    paper_data: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        titles = [column.title for column in self.columns]
        if len(set(titles)) != len(titles):
            raise ValueError(f"two columns of {self.title!r} have one title: {', '.join(titles)}")
        for column in self.columns:
            unknown = set(column.against.values()) - set(titles)
            if unknown:
                raise ValueError(f"{column.title} is compared with no column: {', '.join(unknown)}")

    @property
    def comparisons(self) -> tuple[str, ...]:
        """Names of all comparisons, in the order of the columns."""
        names = [name for column in self.columns for name in column.against]
        return tuple(dict.fromkeys(names))


@dataclasses.dataclass(frozen=True)
class Design:
    """An experiment with its options filled in.

    Attributes:
      tables: At least one.
      trials: All trials, each after those it requires.
    """

    tables: tuple[TableDesign, ...]
    trials: tuple[Trial, ...]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An entry of the registry.

    Attributes:
      description: One line for the help text.
      trial_function: ``module:function``, loaded in worker processes only.
      design: Fills in the options; ValueError if they do not suit the experiment.
      plots: Draws what the results show beyond the tables: from the design, the results by key and
        a directory, returns the paths of PNG files. Imports matplotlib.
    """

    description: str
    trial_function: str
    design: Callable[[ExperimentOptions], Design]
    plots: Callable[[Design, Mapping[str, dict[str, Any]], str], list[str]]
