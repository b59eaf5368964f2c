"""The policies that ``mtfx compare`` tries in a run's simulator, by name or directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.policies import ConstantPolicy
from mtfx.environments.simulator.ranker_policy import RankerPolicy
from mtfx.environments.simulator.world import load_world
from mtfx.errors import DataError, require, why_unreadable
from mtfx.evaluation.reports.fusion import SUMMARY_FILE
from mtfx.files import UNREADABLE, read_json
from mtfx.models.action_policy import ActionPolicy
from mtfx.models.export.policy import SavedPolicy
from mtfx.models.export.ranker import METADATA_FILE
from mtfx.models.fusion.base import FusionFunction
from mtfx.models.fusion.config import build_fusion
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.run_folder import in_run, report_error

#: Equal weights for everybody; there without training.
CONSTANT = "constant"
#: Where the pipeline's stages put their policies.
_STAGES = ("Trainer-", "PolicySearch-")


class NamedPolicy(NamedTuple):
    """A policy and what it is for.

    Attributes:
      name: For the report: the method, or what it is and the last part of its directory.
      source: Where it was found, for the report.
      fusion: Scores candidates by its actions.
      policy: Chooses actions.
    """

    name: str
    source: str
    fusion: FusionFunction
    policy: ActionPolicy


class FusionRun:
    """The simulator of the last run of ``mtfx fusion``, and the policies it left.

    Attributes:
      simulator: With the run's rules.
      formula: The run's.
    """

    def __init__(self, run_dir: str) -> None:
        """Reads the run.

        Raises:
          UserError: if there was none, or its report is damaged.
          DataError: if its simulator cannot be read.
        """
        path = Path(run_dir, "fusion", "report", SUMMARY_FILE)
        try:
            summary = read_json(path)
            config = FusionPipelineConfig.from_dict({**summary["config"], "run_dir": run_dir})
            self.formula = config.fusion
            world = in_run(run_dir, summary["simulator"])
        except UNREADABLE as error:
            otherwise = "compare logs with --interactions"
            raise report_error(run_dir, path, "mtfx fusion", error, otherwise) from error
        self.simulator = Simulator(load_world(world), config.simulator)
        self._pipeline = Path(run_dir, "fusion", "pipeline")

    def methods(self) -> dict[str, str]:
        """Directories of the policies that the run left, by method: those that were made last."""
        found: dict[str, tuple[int, str]] = {}
        for path in self._pipeline.glob("*/model/*/Format-Serving"):
            stage, number = path.parts[-4], path.parts[-2]
            for prefix in _STAGES:
                method = stage.removeprefix(prefix)
                if method != stage and number.isdigit():
                    found[method] = max(found.get(method, (-1, "")), (int(number), str(path)))
        return {method: path for method, (_, path) in sorted(found.items())}

    def policy(self, flag: str, name: str) -> NamedPolicy:
        """A policy by its method, or the directory of an exported policy or ranker.

        Args:
          flag: Which flag it was given with.
          name: ``constant``, a method of the run, or a directory.

        Raises:
          UserError: if there is none of that name.
          DataError: if what is there cannot be read, or is for another world.
        """
        if name == CONSTANT:
            fusion = build_fusion(self.formula, self.simulator.world.num_predictions)
            middle = ConstantPolicy(np.zeros(fusion.action_dim, np.float32))
            return NamedPolicy(name, f"equal weights, {self.formula.formula}", fusion, middle)
        methods = self.methods()
        directory = methods.get(name, name)
        require(
            os.path.isdir(directory),
            f"{flag} {name}: neither a policy of the run nor a directory",
            f"the run has {', '.join(sorted({CONSTANT, *methods}))}",
        )
        if "state_names" in _metadata(directory):
            ranker = RankerPolicy(directory, self.simulator)
            return NamedPolicy(f"ranker {Path(directory).name}", directory, ranker, ranker)
        return self._saved(name if name in methods else None, directory)

    def _saved(self, method: str | None, directory: str) -> NamedPolicy:
        policy, world = SavedPolicy(directory), self.simulator.world
        about = policy.metadata
        if about.prediction_names != tuple(world.prediction_names):
            raise DataError(
                f"the policy in {directory} fuses {', '.join(about.prediction_names)}, but the "
                f"run's simulator has {', '.join(world.prediction_names)}"
            )
        if about.state_dim != self.simulator.state_dim:
            raise DataError(
                f"the policy in {directory} takes states of size {about.state_dim}, but the "
                f"run's simulator has some of {self.simulator.state_dim}"
            )
        name = method or f"{about.method} {Path(directory).name}"
        return NamedPolicy(name, directory, policy.fusion(world.num_predictions), policy)


def _metadata(directory: str) -> dict[str, Any]:
    path = Path(directory, "assets.extra", METADATA_FILE)
    try:
        content = read_json(path)
    except UNREADABLE as error:
        raise DataError(
            f"{directory} holds no policy or ranker of MTFX that can be used: {path} "
            f"{why_unreadable(error)}"
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no description of a policy or ranker")
    return content
