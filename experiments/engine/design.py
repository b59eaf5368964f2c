"""What an experiment compares: tables, their columns, and the trials behind each column."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Protocol, get_args

from mtfx.experiments.engine.scheduler import Trial
from mtfx.setting import Values


class ExperimentOptions(Protocol):
    """What the command line may choose of any experiment; a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Each column has a trial with each."""
        ...

    @property
    def settings(self) -> Values:
        """Overrides of the trials' settings."""
        ...


@dataclasses.dataclass(frozen=True)
class RankingOptions:
    """Options of an experiment that trains ranking models on a log.

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
    settings: Values = ()


@dataclasses.dataclass(frozen=True)
class FusionOptions:
    """Options of an experiment that trains fusion policies for or in a simulated world.

    Attributes:
      seeds: Each column is trained once with each.
      settings: Overrides of the trials' settings.
    """

    seeds: tuple[int, ...]
    settings: Values = ()


#: A row of a table: a task, or another heading, and a key of
#: ``mtfx.experiments.engine.figures.FIGURES``.
RowKey = tuple[str, str]
#: Figures of the paper, by row.
PaperFigures = Mapping[RowKey, float]


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
    """A table to be filled: columns are methods, rows are tasks and figures.

    Attributes:
      title: As shown above it.
      columns: From left to right.
      rows: From top to bottom; those of a task together.
      paper_data: Name of the data set of the paper's figures; empty if it has none for this.
      notes: What a reader must know to read it rightly.
      measured_on: Completes "the mean over 5 seeds".
      deviations: Whether the page has the standard deviations over seeds too, as xMTF's tables.
      paper_changes: Whether the paper's numbers of figures that are compared in percent are such
        changes themselves.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[RowKey, ...]
    paper_data: str = ""
    notes: tuple[str, ...] = ()
    measured_on: str = "on the test split"
    deviations: bool = False
    paper_changes: bool = True

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


ExperimentKind = Literal["ranking", "fusion", "online"]
EXPERIMENT_KINDS: tuple[ExperimentKind, ...] = get_args(ExperimentKind)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An entry of the registry.

    Attributes:
      kind: What its trials learn from: ``ranking`` (a log), ``fusion`` (logs of a simulated world)
        or ``online`` (a simulated world while they act in it).
      description: One line for the help text.
      trial_function: ``module:function``, loaded in worker processes only.
      design: Fills in the options of its kind; ValueError if they do not suit the experiment.
      plots: Draws what the results show beyond the tables: from the design, the results by key and
        a directory, returns the paths of PNG files. Imports matplotlib.
      seeds: How many, where the user does not say.
    """

    kind: ExperimentKind
    description: str
    trial_function: str
    design: Callable[[Any], Design]
    plots: Callable[[Design, Mapping[str, dict[str, Any]], str], list[str]]
    seeds: int = 5
