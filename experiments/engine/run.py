"""Run of an experiment on prepared data: trials, tables, drawings, report."""

from __future__ import annotations

import importlib
import os

from mtfx.experiments.engine.data import TrialData
from mtfx.experiments.engine.design import Design, Experiment, ExperimentOptions
from mtfx.experiments.engine.progress import TrialProgress
from mtfx.experiments.engine.report import ExperimentReport
from mtfx.experiments.engine.scheduler import run_trials
from mtfx.experiments.engine.tables import fill_table
from mtfx.experiments.engine.workers import TrialFunction


def run_experiment(
    name: str,
    experiment: Experiment,
    options: ExperimentOptions,
    data: TrialData,
    output_dir: str,
    workers: int,
    threads: int,
    progress: TrialProgress,
    command: str = "",
    code_version: str = "",
) -> ExperimentReport:
    """Runs what is not finished yet, and writes the report to ``output_dir/NAME``.

    Args:
      name: The experiment's name.
      experiment: Its registry entry.
      options: What to compare.
      data: What the trials learn from.
      output_dir: Trials, report and drawings go there.
      workers: Processes.
      threads: TensorFlow's threads of each.
      progress: Notified of each trial.
      command: The command line that repeats it, for the report.
      code_version: Recorded with the results.

    Returns:
      The report; failed trials are in its outcomes.

    Raises:
      ValueError: as :func:`mtfx.experiments.engine.scheduler.run_trials`, or if the options do not
      suit.
    """
    design: Design = experiment.design(options)
    function = load_trial_function(experiment.trial_function)
    with progress:
        outcomes = run_trials(
            design.trials, function, data, output_dir, workers, threads, progress, code_version
        )
    results = {key: record.result for key, record in outcomes.records.items()}
    directory = os.path.join(output_dir, name)
    report = ExperimentReport(
        name=name,
        description=experiment.description,
        options=options,
        data=data,
        tables=tuple(fill_table(table, options.seeds, results) for table in design.tables),
        outcomes=outcomes,
        plots=tuple(experiment.plots(design, results, directory)),
        command=command,
        code_version=code_version,
    )
    report.write(directory)
    return report


def load_trial_function(path: str) -> TrialFunction:
    """The function at ``module:function``; worker processes find it by the same name."""
    module, _, function = path.partition(":")
    return getattr(importlib.import_module(module), function)
