"""The log as world building needs it: splits, features, roles, feedback."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import polars as pl
import tensorflow_transform as tft

from mtfx.datasets.feature_roles import FeatureRoles, feature_roles, item_catalogue
from mtfx.datasets.file_names import literal
from mtfx.datasets.fingerprint import fingerprint
from mtfx.datasets.labels import UNKNOWN, is_known
from mtfx.datasets.logs import joins, readers
from mtfx.datasets.logs.exposures import Exposures, read_random_exposures
from mtfx.datasets.logs.impressions import SESSION, FeatureTransform, read_raw_impressions
from mtfx.datasets.logs.logged_histories import HistoryLists, read_histories
from mtfx.datasets.logs.sessions import SPLITS
from mtfx.datasets.spec import DatasetSpec
from mtfx.datasets.synthetic.manifest import FILE_NAME as SYNTHETIC_MANIFEST
from mtfx.environments.simulator.fitting.response import ResponseRows
from mtfx.environments.simulator.fitting.session_dynamics import LoggedSessions
from mtfx.environments.simulator.satisfaction import SatisfactionRule, satisfaction_rule
from mtfx.models.input_features import InputFeature
from mtfx.models.model_inputs import model_inputs

_DURATION = "duration_ms"


@dataclasses.dataclass(frozen=True)
class WorldData:
    """A log with its transform.

    Attributes:
      spec: The data set.
      splits: Raw impressions by split, sessions one after the other.
      transform: From raw columns to the features of models.
      inputs: The features by name.
      roles: Which describe users, which items.
      catalogue: All items of all splits, one row each.
      rule: Feedbacks and what they are worth to a user.
      exposures: The log of random exposures; None if there is none.
    """

    spec: DatasetSpec
    splits: dict[str, pl.DataFrame]
    transform: FeatureTransform
    inputs: dict[str, InputFeature]
    roles: FeatureRoles
    catalogue: pl.DataFrame
    rule: SatisfactionRule
    exposures: Exposures | None = None

    @property
    def watch_column(self) -> str | None:
        """Column of the watch time in ms, if the data set has one."""
        columns = self.spec.columns_of("watch_time")
        return columns[0].name if columns else None

    def inputs_of(self, names: tuple[str, ...]) -> tuple[InputFeature, ...]:
        """Some features, in this order."""
        return tuple(self.inputs[name] for name in names)

    def feedback(self, frame: pl.DataFrame) -> np.ndarray:
        """Labels float32 `[n, feedback]`, ``mtfx.datasets.labels.UNKNOWN`` where unknown."""
        return frame.select(self.rule.feedback_names).to_numpy().astype(np.float32)

    def watch_s(self, frame: pl.DataFrame) -> np.ndarray | None:
        """Seconds watched, float32 `[n]`, ``mtfx.datasets.labels.UNKNOWN`` where unknown."""
        if self.watch_column is None:
            return None
        watch_ms = frame[self.watch_column].to_numpy()
        return np.where(is_known(watch_ms), watch_ms / 1_000.0, UNKNOWN).astype(np.float32)

    def duration_s(self, frame: pl.DataFrame) -> np.ndarray:
        """Lengths of the items in seconds, float32 `[n]`; 0 where the data set has none."""
        if _DURATION not in frame.columns:
            return np.zeros(frame.height, np.float32)
        return (np.maximum(frame[_DURATION].to_numpy(), 0.0) / 1_000.0).astype(np.float32)

    def response_rows(self, frame: pl.DataFrame) -> ResponseRows:
        """Impressions as the response model takes them."""
        return ResponseRows(
            self.transform(frame), self.feedback(frame), self.watch_s(frame), self.duration_s(frame)
        )

    def sessions(self, split: str) -> LoggedSessions:
        """Impressions as :mod:`mtfx.environments.simulator.fitting.session_dynamics` takes them."""
        frame = self.splits[split]
        number = frame[SESSION].to_numpy()
        cut = np.bincount(number) >= self.spec.session_rule.max_length
        return LoggedSessions(frame["user_id"].to_numpy(), number, self.feedback(frame), cut)


def load_world_data(
    spec: DatasetSpec, data_dir: str, examples: str, transform_graph: str, max_impressions: int
) -> WorldData:
    """Reads a log.

    Args:
      spec: The data set.
      data_dir: Directory of its files, for the random exposures.
      examples: URI of SessionExampleGen's artifact, with all three splits.
      transform_graph: URI of Transform's.
      max_impressions: Of each split, read no more.

    Raises:
      ValueError: if a split is missing or empty.
      DataError: if the log of random exposures is damaged.
    """
    output = tft.TFTransformOutput(transform_graph)
    splits = {
        split: read_raw_impressions(
            os.path.join(literal(examples), f"Split-{split}", "*"),
            output,
            max_impressions=max_impressions,
        )
        for split in SPLITS
    }
    roles = feature_roles(spec)
    return WorldData(
        spec=spec,
        splits=splits,
        transform=FeatureTransform(output, spec),
        inputs={feature.name: feature for feature in model_inputs(spec, output)},
        roles=roles,
        catalogue=item_catalogue(pl.concat(splits.values()), roles),
        rule=satisfaction_rule(spec),
        exposures=read_random_exposures(spec, data_dir),
    )


def read_logged_histories(
    examples: str, transform_graph: str, requests: pl.DataFrame
) -> dict[str, HistoryLists]:
    """What the log held before the sessions of some requests, by session id.

    Args:
      examples: URI of SessionExampleGen's artifact.
      transform_graph: URI of Transform's.
      requests: With ``session_id``, of the test split.
    """
    return read_histories(
        os.path.join(literal(examples), "Split-test", "*"),
        tft.TFTransformOutput(transform_graph),
        set(requests["session_id"].cast(pl.String).to_list()),
    )


def world_fingerprint(spec: DatasetSpec, data_dir: str) -> str:
    """Of the log of random exposures with its side tables, and of a synthetic data set's manifest.

    Args:
      spec: The data set.
      data_dir: Directory of its files.

    Raises:
      DataError: if a file cannot be read.
    """
    patterns = spec.random_log_files
    paths = log = readers.match_files(data_dir, patterns) if patterns else []
    if log:
        tables = [joins.matching_files(data_dir, table, log) for table in spec.side_tables]
        paths = [*log, *(path for table in tables for path in table)]
    manifest = os.path.join(data_dir, SYNTHETIC_MANIFEST)
    if os.path.isfile(manifest):
        paths = [*paths, manifest]
    return fingerprint(paths, data_dir)
