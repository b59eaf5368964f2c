"""Headroom of the simulator that a run has made, or of any other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.world import load_world
from mtfx.evaluation.reports.headroom import headroom_bars
from mtfx.evaluation.simulator.headroom import HeadroomRow, headroom
from mtfx.files import write_atomically, write_json
from mtfx.models.fusion.config import FusionConfig
from mtfx.pipelines.code_version import code_version
from mtfx.pipelines.compared_policies import FusionRun

HEADROOM_FILE, FIGURE_FILE = "headroom.json", "headroom.png"


@dataclasses.dataclass(frozen=True)
class HeadroomOptions:
    """What is valued.

    Attributes:
      output_dir: Where the outputs go.
      run_dir: A run, whose last fusion's simulator, rules and formula are taken.
      simulator: Directory of a simulator in place of it, with the rules of its response model.
      sessions: How many.
      samples: Responses that the worth of an item is the mean of.
      seed: Of everything random.
    """

    output_dir: str
    run_dir: str | None = None
    simulator: str | None = None
    sessions: int = 2_000
    samples: int = 32
    seed: int = 0


class HeadroomResult(NamedTuple):
    """What was found.

    Attributes:
      rows: By way to rank.
      caveat: What must stand beside them; empty if nothing.
      paths: Of the figures and of the picture.
    """

    rows: tuple[HeadroomRow, ...]
    caveat: str
    paths: tuple[Path, Path]


def run_headroom(options: HeadroomOptions, on_progress: Callable[[str], None]) -> HeadroomResult:
    """Values the ways to rank and writes ``headroom.json`` and ``headroom.png``.

    Args:
      options: Of what.
      on_progress: Told what is being done.

    Raises:
      UserError: if there is no such run.
      DataError: if the simulator cannot be read.
      ValueError: if its world has less than two users.
    """
    if options.run_dir is None:
        simulator, formula = Simulator(load_world(options.simulator or "")), FusionConfig()
    else:
        run = FusionRun(options.run_dir)
        simulator, formula = run.simulator, run.formula
    rows = headroom(
        simulator,
        options.sessions,
        formula=formula,
        samples=options.samples,
        seed=options.seed,
        on_progress=on_progress,
    )
    content = {
        "options": dataclasses.asdict(options),
        "predictions": list(simulator.world.prediction_names),
        "formula": formula.to_dict(),
        "caveat": simulator.world.response.caveat,
        "rows": [row.to_json() for row in rows],
        "code_version": code_version(),
    }
    directory = Path(options.output_dir)
    paths = directory / HEADROOM_FILE, directory / FIGURE_FILE
    write_json(paths[0], content)
    write_atomically(paths[1], headroom_bars(rows))
    return HeadroomResult(rows, simulator.world.response.caveat, paths)
