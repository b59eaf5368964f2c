"""Kinds of experiments as the command line sees them: what each needs, and takes.

A ranking experiment trains on a log (``--dataset``, ``--data-dir``), a fusion experiment for a
simulated world (``--world``): on logs of it, or online, while it acts in it. Each kind has its own
flags, settings, options and data.
"""

from __future__ import annotations

import abc
import dataclasses
import os
from collections.abc import Mapping
from typing import Any, ClassVar

import click
from rich.console import Console

from mtfx.cli.progress import stage_progress
from mtfx.errors import UserError, require
from mtfx.experiments.batchrl.trial import SMALL as FUSION_SMALL
from mtfx.experiments.batchrl.trial import FusionSettings
from mtfx.experiments.engine.data import TrialData
from mtfx.experiments.engine.design import (
    Design,
    Experiment,
    ExperimentKind,
    ExperimentOptions,
    FusionOptions,
    RankingOptions,
)
from mtfx.experiments.registry import EXPERIMENTS
from mtfx.experiments.rmtl.trial import RmtlTrialSettings
from mtfx.experiments.xmtf.trial import SMALL as XMTF_SMALL
from mtfx.experiments.xmtf.trial import XmtfSettings
from mtfx.models.mtl.registry import BACKBONES
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.options import DataOptions
from mtfx.setting import TrialConfig, Value, Values, read_setting


@dataclasses.dataclass(frozen=True)
class GivenFlags:
    """What the command line was given.

    Attributes:
      values: By parameter name, such as ``data_dir``.
      given: Names of the parameters that the user set.
    """

    values: Mapping[str, Any]
    given: frozenset[str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


class Input(abc.ABC):
    """What an experiment runs on, with the options of its kind; the flags are checked."""

    options: ExperimentOptions

    @abc.abstractmethod
    def prepare(self, output_dir: str, console: Console) -> TrialData:
        """Makes the data ready; slow."""


@dataclasses.dataclass(frozen=True)
class Kind(abc.ABC):
    """A kind of experiments.

    Attributes:
      input: What it runs on, in words.
      settings: What ``--set`` may change, with the defaults.
      small: What ``--scale small`` sets.
      needs: Flags without which it does not run.
      takes: Further flags that the other kinds have no use for.
      hint: How to give what it needs.
      setting_flags: Flags of settings that have their own, by setting.
    """

    input: str
    settings: TrialConfig
    small: Mapping[str, Value]
    needs: ClassVar[tuple[str, ...]]
    takes: ClassVar[tuple[str, ...]]
    hint: ClassVar[str]
    setting_flags: ClassVar[Mapping[str, str]]

    @abc.abstractmethod
    def read(self, experiment: Experiment, flags: GivenFlags) -> Input:
        """Checks flags and files; raises UserError before anything slow starts."""

    def given_settings(self, flags: GivenFlags) -> Values:
        """The settings of ``--set``, of the flags that were given and of the scale, by name."""
        read: dict[str, Value] = {}
        for name, text in flags["settings"]:
            require(name not in read, "--set gives a setting twice", "give each once")
            if name in self.setting_flags:
                own = self.setting_flags[name]
                raise click.BadParameter(f"{name} has a flag of its own: {own}", param_hint="--set")
            try:
                read[name] = read_setting(self.settings, name, text)
            except ValueError as error:
                raise click.BadParameter(str(error), param_hint="--set") from error
        for name, flag in self.setting_flags.items():
            value = flags[flag.removeprefix("--").replace("-", "_")]
            if value is not None:
                try:
                    read[name] = read_setting(self.settings, name, value)
                except ValueError as error:
                    raise UserError(f"{flag}: {error}") from error
        small = self.small if flags["scale"] == "small" else {}
        return tuple(sorted({**small, **read}.items()))


class _LogInput(Input):
    def __init__(self, options: RankingOptions, data: DataOptions, beam_workers: int) -> None:
        self.options = options
        self._data, self._beam_workers = data, beam_workers

    def prepare(self, output_dir: str, console: Console) -> TrialData:
        with console.status("loading TensorFlow and TFX"):
            from mtfx.cli.experiment_data import prepare_data
        with stage_progress(console) as stages:
            beam = local_beam_args(self._beam_workers, ())
            return prepare_data(self._data, output_dir, stages, beam)


class RankingKind(Kind):
    """Experiments with ranking models."""

    needs = ("dataset", "data_dir")
    takes = ("tasks", "backbones", "epochs", "gap_minutes", "max_bad_rows", "beam_workers")
    hint = "give --dataset NAME and --data-dir DIR; `mtfx datasets` lists the names"
    setting_flags: ClassVar[Mapping[str, str]] = {
        "scale": "--scale",
        "epochs": "--epochs",
        "batch_size": "--batch-size",
    }

    def read(self, experiment: Experiment, flags: GivenFlags) -> Input:
        """See :meth:`Kind.read`."""
        data = DataOptions(
            flags["dataset"],
            flags["data_dir"],
            flags["tasks"],
            gap_minutes=flags["gap_minutes"],
            max_bad_rows=flags["max_bad_rows"],
        ).with_binary_tasks()
        options = RankingOptions(
            dataset=data.dataset,
            tasks=_binary_tasks(data),
            seeds=_seeds(experiment, flags),
            backbones=flags["backbones"],
            settings=self.given_settings(flags),
        )
        _check_backbones(options.backbones)
        require(
            os.path.abspath(flags["output_dir"]) != os.path.abspath(data.data_dir),
            f"--output-dir and --data-dir are the same directory: {flags['output_dir']}",
            "outputs must not mix with the input files",
        )
        design: Design = experiment.design(options)
        if any(getattr(trial, "backbone", "") == "esmm" for trial in design.trials):
            for task in data.selected_tasks():
                require(
                    task.parent is None or task.parent in options.tasks,
                    f"backbone esmm needs task {task.parent!r}, because {task.name!r} can only "
                    "follow it",
                    f"add {task.parent} to --tasks, or leave esmm out with --backbones",
                )
        data.check_files()
        return _LogInput(options, data, flags["beam_workers"])


class _WorldInput(Input):
    def __init__(self, options: FusionOptions, directory: str) -> None:
        self.options = options
        self._directory = directory

    def prepare(self, output_dir: str, console: Console) -> TrialData:
        with console.status("loading TensorFlow and the world"):
            from mtfx.experiments.engine.data import describe_world

            return describe_world(self._directory)


class WorldKind(Kind):
    """Experiments with fusion policies in a simulated world."""

    needs = ("world",)
    takes = ()
    hint = "give --world DIR; `mtfx simulator` makes one"
    setting_flags: ClassVar[Mapping[str, str]] = {"batch_size": "--batch-size"}

    def read(self, experiment: Experiment, flags: GivenFlags) -> Input:
        """See :meth:`Kind.read`."""
        directory = flags["world"]
        require(os.path.isdir(directory), f"--world: there is no directory {directory}", self.hint)
        require(
            os.path.abspath(flags["output_dir"]) != os.path.abspath(directory),
            f"--output-dir and --world are the same directory: {directory}",
            "outputs must not mix with the world's files",
        )
        options = FusionOptions(_seeds(experiment, flags), self.given_settings(flags))
        experiment.design(options)
        return _WorldInput(options, directory)


KINDS: dict[ExperimentKind, Kind] = {
    "ranking": RankingKind("a log", RmtlTrialSettings(), {}),
    "fusion": WorldKind("a simulated world", FusionSettings(), FUSION_SMALL),
    "online": WorldKind("a simulated world, online", XmtfSettings(), XMTF_SMALL),
}


def kind_of(name: str, flags: GivenFlags) -> Kind:
    """The kind of an experiment.

    Raises:
      UserError: if a flag is given that only another kind takes, or one is missing.
    """
    kind = KINDS[EXPERIMENTS[name].kind]
    own = (*kind.needs, *kind.takes)
    for other in KINDS.values():
        for flag in (*other.needs, *other.takes):
            require(
                flag in own or flag not in flags.given,
                f"{name} runs on {kind.input}, and takes no {_option(flag)}",
                kind.hint,
            )
    missing = [_option(flag) for flag in kind.needs if flag not in flags.given]
    require(
        not missing, f"{name} runs on {kind.input}: {' and '.join(missing)} is missing", kind.hint
    )
    return kind


def scale_help() -> str:
    """What ``--scale`` means to each kind."""
    small, online = (
        ", ".join(
            f"{name} {value:g}" for name, value in values.items() if not isinstance(value, str)
        )
        for values in (FUSION_SMALL, XMTF_SMALL)
    )
    return (
        "The paper's sizes, or small ones: on a log, layers for some 100,000 impressions; in a "
        f"world, {small}; online, {online}."
    )


def _option(flag: str) -> str:
    return "--" + flag.replace("_", "-")


def _seeds(experiment: Experiment, flags: GivenFlags) -> tuple[int, ...]:
    """As many as the user says, or as the experiment has, from the first that the user says."""
    first: int = flags["first_seed"]
    return tuple(range(first, first + (flags["seeds"] or experiment.seeds)))


def _check_backbones(backbones: tuple[str, ...]) -> None:
    unknown = set(backbones) - set(BACKBONES)
    require(
        not unknown,
        f"--backbones: no {', '.join(sorted(unknown))}; there are: {', '.join(BACKBONES)}",
        "`mtfx backbones` describes them",
    )
    require(
        len(set(backbones)) == len(backbones),
        f"--backbones names one twice: {', '.join(backbones)}",
    )


def _binary_tasks(data: DataOptions) -> tuple[str, ...]:
    tasks = data.selected_tasks()
    for task in tasks:
        require(
            task.kind == "binary",
            f"--tasks: {task.name} is a {task.kind} task, and the figures are of binary ones",
            "name binary tasks only; `mtfx datasets` lists them",
        )
    return tuple(task.name for task in tasks)
