"""Designs of experiments: tables, the figures in their rows, and the trials behind each column."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from mtfx.experiments.engine.trial import Trial, with_requirements
from mtfx.setting import Values


class Figure(NamedTuple):
    """A figure of a task or policy.

    Attributes:
      title: As shown.
      higher: Whether a higher one is better; None if neither is.
      digits: Decimal places.
      relative: Whether columns are compared by the change in percent instead of the difference.
    """

    title: str
    higher: bool | None
    digits: int = 4
    relative: bool = False

    @property
    def arrow(self) -> str:
        """Points to what is better."""
        return "" if self.higher is None else " ↑" if self.higher else " ↓"


FIGURES: dict[str, Figure] = {
    # Of a task of a ranking model.
    "auc": Figure("AUC", True),
    "logloss": Figure("log loss", False),
    "s_logloss": Figure("s-logloss", False),
    # Of a fusion policy in the simulator.
    "true_return": Figure("discounted return", True, 3),
    "watch_s": Figure("watch time per session, s", True, 2, relative=True),
    "positive_rate": Figure("positive-interaction rate", True, 4, relative=True),
    "views": Figure("views per session", True, 2, relative=True),
    # Of xMTF's cells.
    "inner_violations": Figure("violations of the inner stage", False, 5),
    "violations": Figure("violations of both stages", False, 5),
    # Of a fusion policy on logged transitions.
    "estimated_return": Figure("estimated return V̂", True, 3),
    "q_mean": Figure("mean estimated Q", None, 3),
    "q_deviation": Figure("standard deviation of Q over states", None, 3),
    "q_error": Figure("mean Q less the true return", None, 3),
    "distance": Figure("distance to the logged actions", None, 3),
    "extreme": Figure("share of actions at a bound", None, 3),
    "spread": Figure("standard deviation of the actions", None, 3),
    # Of an estimator, over policies.
    "kendall_tau": Figure("Kendall's tau with the true order", True, 3),
    "relative_error": Figure("relative error", False, 3),
    "lower_bound": Figure("share of policies not overrated", True, 3),
}
#: Of every task of a ranking model.
RANKING_FIGURES = ("auc", "logloss", "s_logloss")


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


ExperimentOptions = RankingOptions | FusionOptions
#: A row of a table: a task, or another heading, and a key of ``FIGURES``.
RowKey = tuple[str, str]
#: Results of finished trials, by key: what the trial function returned.
Results = Mapping[str, Mapping[str, Any]]
#: Figures of the paper, by row.
PaperFigures = Mapping[RowKey, float]


@dataclasses.dataclass(frozen=True)
class TableColumn:
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

    def curves(self, results: Results) -> list[Mapping[str, Any]]:
        """What its finished trials recorded for drawings, in the order of the seeds."""
        return [results[one.key]["curves"] for one in self.trials if one.key in results]


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
    columns: tuple[TableColumn, ...]
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

    @classmethod
    def of(cls, *tables: TableDesign) -> Design:
        """The tables with the trials of their columns, and all that these require.

        All trials of the first seed come first, then those of the second: an early stop leaves
        whole seeds.
        """
        columns = [column.trials for table in tables for column in table.columns]
        by_seed = zip(*columns, strict=True)
        return cls(tables, with_requirements(trial for trials in by_seed for trial in trials))


ExperimentKind = Literal["ranking", "fusion", "online"]


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
    plots: Callable[[Design, Results, str], list[str]]
    seeds: int = 5
