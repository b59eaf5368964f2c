"""Quality of the ranking models beside gradient-boosted trees, on a log of any data set.

    python -m benchmarks.ranking_quality kuairand DATA_DIR --backbones mmoe,ple --seeds 0,1,2

Each backbone is trained by the ranking pipeline with each seed, on the same transformed sessions;
the trees (``mtfx.evaluation.ranking.trees``) learn from the same. Figures are means over the seeds
± their standard deviation. They are of the eval split, on which choices are made; the test split
is looked at only with ``--split test``, once, at the end. Without a data set it synthesizes a small
one.

Run it again with the same ``--output-dir`` and what has not changed is not done twice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from mtfx.cli.flags import Flags
from mtfx.cli.logs import output_to_log
from mtfx.cli.parameters import Names, Numbers
from mtfx.cli.shared_flags import beam_args, beam_options, model_size_option
from mtfx.datasets.spec import Task
from mtfx.datasets.synthetic import SyntheticConfig, synthesize
from mtfx.evaluation.ranking.paired_comparison import RankerFigures, ranker_figures
from mtfx.evaluation.reports.kit.tables import UNDEFINED
from mtfx.models.config import ModelConfig
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.options import DataOptions
from mtfx.trainers.ranking.config import TrainingConfig

#: What the trees are called among the rankers.
TREES = "trees"
_DATA = Flags(DataOptions, ("tasks", "pattern", "history_length"))
_TRAINING = Flags(TrainingConfig, ("epochs", "batch_size", "learning_rate", "patience"))
_SMALL = {"model_size": "small", "epochs": 2, "batch_size": 512}
_RESULTS = "results.json"


@dataclasses.dataclass(frozen=True)
class Measured:
    """One ranker with one seed.

    Attributes:
      figures: By task.
      seconds: Wall clock of training, in seconds: the Trainer stage, or the trees of all tasks with
        their inputs.
    """

    figures: Mapping[str, RankerFigures]
    seconds: float


@click.command(context_settings={"show_default": True}, help=__doc__)
@click.argument("dataset", required=False)
@click.argument("data_dir", required=False)
@click.option("--backbones", type=Names(), default=("mmoe",))
@click.option("--seeds", type=Numbers(), default=(0,))
@click.option("--trees/--no-trees", default=True, help="Train the trees too.")
@click.option("--split", type=click.Choice(("eval", "test")), default="eval")
@click.option("--output-dir", help="Keeps artifacts, logs and results.json; else a temporary one.")
@click.option("--small", is_flag=True, help="Small networks and two epochs, for a quick look.")
@_DATA
@model_size_option
@_TRAINING
@beam_options
def main(
    dataset: str | None,
    data_dir: str | None,
    backbones: tuple[str, ...],
    seeds: tuple[int, ...],
    trees: bool,
    split: str,
    output_dir: str | None,
    small: bool,
    **values: Any,
) -> None:
    """Prints a table of figures per task and ranker."""
    if (dataset is None) != (data_dir is None):
        raise click.UsageError("give both, DATASET and DATA_DIR, or neither")
    if small or dataset is None:
        values |= _SMALL
    with contextlib.ExitStack() as stack:
        output = output_dir or stack.enter_context(tempfile.TemporaryDirectory())
        if dataset is None or data_dir is None:
            dataset, data_dir = "synthetic-shop", str(Path(output, "data"))
            synthesize(SyntheticConfig(profile="shop", impressions=20_000), data_dir)
        data = DataOptions(dataset=dataset, data_dir=data_dir, **_DATA.taken(values))
        configs = {
            backbone: [
                RankingPipelineConfig(
                    data=data,
                    output_dir=str(Path(output, "run")),
                    model=ModelConfig.of_size(values["model_size"], backbone),
                    training=_TRAINING.build(values),
                    seed=seed,
                    beam_pipeline_args=beam_args(values),
                )
                for seed in seeds
            ]
            for backbone in backbones
        }
        for runs in configs.values():
            runs[0].check()
        log = Path(output, "run", "logs", "mtfx.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with output_to_log(log) as terminal:
            print(_preamble(split), file=terminal, flush=True)
            measured = Measurement(Path(output, _RESULTS), split).all(configs, trees, terminal)
            print(table(data.selected_tasks(), measured), file=terminal)


class Measurement:
    """Trains and judges rankers, and remembers the results in a file."""

    def __init__(self, path: Path, split: str) -> None:
        """Reads what was measured before.

        Args:
          path: The file.
          split: The split that all are judged on.
        """
        self._path, self._split = path, split
        self._known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def all(
        self,
        configs: Mapping[str, Sequence[RankingPipelineConfig]],
        trees: bool,
        terminal: TextIO,
    ) -> dict[str, list[Measured]]:
        """Measures each ranker with each seed.

        Args:
          configs: By backbone, a configuration for each seed.
          trees: Whether to train the trees too, from the data of the first backbone's runs.
          terminal: Where to say what was measured.
        """
        found: dict[str, list[Measured]] = {}
        for backbone, runs in configs.items():
            for config in runs:
                one = self._model(config)
                found.setdefault(backbone, []).append(one)
                print(_line(f"{backbone}, seed {config.seed}", one), file=terminal, flush=True)
        for config in next(iter(configs.values())) if trees else ():
            one = self._trees(config)
            found.setdefault(TREES, []).append(one)
            print(_line(f"{TREES}, seed {config.seed}", one), file=terminal, flush=True)
        return found

    def _model(self, config: RankingPipelineConfig) -> Measured:
        from mtfx.pipelines import local_runner
        from mtfx.pipelines.judging import judge
        from mtfx.pipelines.ranking import create_training_pipeline
        from mtfx.pipelines.trees import RunFiles

        tasks = config.data.selected_tasks()
        result = local_runner.run(create_training_pipeline(config), local_runner.SilentObserver())
        files, model = RunFiles.of(result), result.output("Trainer", "model").uri
        # A Trainer that is taken from the cache takes no time.
        timed = self._known.setdefault(f"seconds {model}", result.stages["Trainer"].seconds)

        def measure() -> Measured:
            judged = judge(files.examples, files.schema, model, self._split, tasks)
            return _measured(tasks, judged.labels, judged.predictions, timed)

        return self._remembered(f"{self._split} {model}", measure)

    def _trees(self, config: RankingPipelineConfig) -> Measured:
        from mtfx.pipelines import local_runner
        from mtfx.pipelines.ranking import create_training_pipeline
        from mtfx.pipelines.trees import RunFiles, predict_by_trees, read_split

        spec, tasks = config.data.spec(), config.data.selected_tasks()
        result = local_runner.run(create_training_pipeline(config), local_runner.SilentObserver())
        files = RunFiles.of(result)

        def measure() -> Measured:
            begin = time.perf_counter()
            train, judged = (
                read_split(files, name, spec, tasks) for name in ("train", self._split)
            )
            found = predict_by_trees(train, judged, tasks, config.seed)
            return _measured(tasks, judged.labels, found, time.perf_counter() - begin)

        return self._remembered(f"{self._split} {TREES} {config.seed} {files.transformed}", measure)

    def _remembered(self, key: str, measure: Any) -> Measured:
        if key not in self._known:
            one: Measured = measure()
            figures = {name: found.to_dict() for name, found in one.figures.items()}
            self._known[key] = {"figures": figures, "seconds": one.seconds}
            self._path.write_text(json.dumps(self._known, indent=2) + "\n")
        known = self._known[key]
        figures = {name: RankerFigures.from_dict(f) for name, f in known["figures"].items()}
        return Measured(figures, known["seconds"])


def table(tasks: Sequence[Task], measured: Mapping[str, Sequence[Measured]]) -> str:
    """The figures of all rankers, task by task.

    Args:
      tasks: In order.
      measured: By ranker, one for each seed.

    Returns:
      Lines of text; means ± standard deviations, the latter left out of a single seed.
    """
    width = max(len(name) for name in (*measured, *(task.name for task in tasks), "ranker"))
    lines = []
    for kind, columns in _COLUMNS.items():
        chosen = [task for task in tasks if task.kind == kind]
        if not chosen:
            continue
        heads = "".join(f"{title:>20}" for title, _, _ in columns)
        lines.append(f"{'task':{width}}  {'ranker':{width}}{heads}{'training, s':>14}")
        for task in chosen:
            for place, (ranker, runs) in enumerate(measured.items()):
                found = [run.figures[task.name] for run in runs]
                cells = "".join(
                    f"{_spread([getattr(figures, name) for figures in found], digits):>20}"
                    for _, name, digits in columns
                )
                seconds = _spread([run.seconds for run in runs], 0)
                shown = task.name if not place else ""
                lines.append(f"{shown:{width}}  {ranker:{width}}{cells}{seconds:>14}")
    return "\n".join(lines)


_COLUMNS = {
    "binary": (
        ("AUC", "auc", 4),
        ("log loss", "logloss", 5),
        ("normalised entropy", "normalised_entropy", 4),
    ),
    "regression": (("RMSE", "rmse", 1), ("R²", "r_squared", 4)),
}


def _measured(
    tasks: Sequence[Task],
    labels: Mapping[str, Any],
    predictions: Mapping[str, Any],
    seconds: float,
) -> Measured:
    figures = {t.name: ranker_figures(t.kind, labels[t.name], predictions[t.name]) for t in tasks}
    return Measured(figures, seconds)


def _spread(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return UNDEFINED
    mean = f"{statistics.mean(known):,.{digits}f}"
    return mean if len(known) < 2 else f"{mean} ± {statistics.stdev(known):,.{digits}f}"


def _line(what: str, one: Measured) -> str:
    figures = " ".join(
        f"{name} {_spread([found.auc if found.rmse is None else found.r_squared], 4)}"
        for name, found in one.figures.items()
    )
    return f"{what}: {figures}, {one.seconds:.0f} s"


def _preamble(split: str) -> str:
    if split == "test":
        return "The test split: look at it once, when everything has been chosen on the eval split."
    return "The eval split; nothing has looked at the test split."


if __name__ == "__main__":
    main()
