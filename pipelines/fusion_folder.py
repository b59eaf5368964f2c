"""The directory of a fusion run: its paths, and what the ranking run there says of its data."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from mtfx.config import Config
from mtfx.errors import require
from mtfx.files import UNREADABLE, read_json
from mtfx.pipelines.run_folder import report_error
from mtfx.pipelines.served_log import last_simulator
from mtfx.pipelines.spans import at_span


@dataclasses.dataclass(frozen=True)
class FusionFolder(Config):
    """The directory of a ranking run, in which its predictions are fused.

    Attributes:
      run_dir: Output directory of ``mtfx ranking``; the fusion's outputs go there too.
    """

    run_dir: str

    def check_run(self) -> None:
        """Checks on this machine that the ranking pipeline was run.

        Raises:
          UserError: naming what is missing.
        """
        for path in (self.metadata_path, self.ranking_summary):
            require(
                path.is_file(),
                f"--run-dir {self.run_dir} holds no run of the ranking pipeline: "
                f"{path} is not there",
                "run `mtfx ranking --output-dir "
                f"{self.run_dir} ...` first; this pipeline fuses the model it blessed",
            )

    @property
    def metadata_path(self) -> Path:
        """The SQLite file of ML Metadata, shared with the ranking pipeline."""
        return Path(self.run_dir, "metadata.db")

    @property
    def log_path(self) -> Path:
        """The log of every run in this directory."""
        return Path(self.run_dir, "logs", "mtfx.log")

    @property
    def output_dir(self) -> str:
        """Where the pipeline's artifacts and report go."""
        return os.path.join(os.path.abspath(self.run_dir), "fusion")

    @property
    def report_dir(self) -> Path:
        """Where ``summary.json`` goes."""
        return Path(self.output_dir, "report")

    @property
    def ranker_dir(self) -> str:
        """Where rankers are pushed, a folder for each."""
        return os.path.join(os.path.abspath(self.run_dir), "serving", "ranker")

    @property
    def ranking_summary(self) -> Path:
        """What ``mtfx ranking`` reported."""
        return Path(self.run_dir, "report", "summary.json")

    @property
    def served_simulator(self) -> str:
        """Simulator of the run's last fusion, which says what served states hold; empty without.

        Raises:
          UserError: if there is a report that does not tell.
        """
        return last_simulator(self.run_dir, self.report_dir)

    @property
    def log_dir(self) -> str:
        """Folder of the ranking run's log; of its span, where the log comes in several."""
        data = self.ranking_run()
        folder = os.path.dirname(at_span(data.get("pattern", "*"), data.get("span", 1)))
        return os.path.abspath(os.path.join(data["data_dir"], folder))

    def ranking_run(self) -> dict[str, Any]:
        """What ``mtfx ranking`` was told of its data: ``dataset``, ``data_dir`` and more.

        Raises:
          UserError: if the run's summary is damaged.
        """
        try:
            return read_json(self.ranking_summary)["config"]["data"]
        except UNREADABLE as error:
            raise report_error(
                self.run_dir, self.ranking_summary, "mtfx ranking", error, "give another --run-dir"
            ) from error
