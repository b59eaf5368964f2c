"""The versions of a SavedModel below a directory, loaded as TF Serving would."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from mtfx.serving.messages import REQUEST, SIGNATURE
from mtfx.serving.signature_calls import call
from mtfx.serving.warmup import FILE, read_warmup

_LOG = logging.getLogger(__name__)
#: Digits of other scripts are no version, nor is anything beyond TF Serving's 64 bits.
_VERSION = re.compile(r"[0-9]{1,18}")


class LoadedVersions:
    """Keeps the highest version, and those that labels point to, ready.

    A version that cannot be loaded is noted and not tried again until it changes; what was loaded
    before goes on answering. A version whose directory vanishes is let go when another is ready.

    Attributes:
      failures: Why a version could not be loaded, by version.
    """

    def __init__(
        self,
        base_path: str | Path,
        labels: Mapping[str, int] | None = None,
        load: Callable[[str], Any] = tf.saved_model.load,
    ) -> None:
        """Looks once; see :meth:`refresh`.

        Args:
          base_path: Directory of the versions, each a directory whose name is a number.
          labels: Versions by label.
          load: Loads a SavedModel.

        Raises:
          FileNotFoundError: if there is no such directory.
        """
        self._base, self._labels, self._load = Path(base_path), dict(labels or {}), load
        if not self._base.is_dir():
            raise FileNotFoundError(f"--model-base-path: there is no directory {base_path}")
        self._models: dict[int, Any] = {}
        self._paths: dict[int, Path] = {}
        self._stamps: dict[int, float] = {}
        self._lock = threading.Lock()
        self.failures: dict[int, str] = {}
        self.refresh()

    def refresh(self) -> None:
        """Loads what has come and lets go of what has gone."""
        if not self._base.is_dir():
            # What is loaded goes on answering; the directory may be a mount that comes back.
            _LOG.warning("%s is gone", self._base)
            return
        present = {
            int(path.name): path
            for path in self._base.iterdir()
            # The Pusher copies saved_model.pb last; without it a version is not whole.
            if _VERSION.fullmatch(path.name) and (path / "saved_model.pb").exists()
        }
        wanted = {version for version in self._labels.values() if version in present}
        for version in sorted(present, reverse=True):
            if self._ready(version, present[version]):
                wanted.add(version)
                break
        for version in wanted:
            self._ready(version, present[version])
        with self._lock:
            if any(version in self._models for version in wanted):
                for version in set(self._models) - wanted:
                    del self._models[version], self._paths[version]

    def _ready(self, version: int, path: Path) -> bool:
        try:
            stamp = (path / "saved_model.pb").stat().st_mtime
        except FileNotFoundError:
            return False  # rolled back since it was listed
        if version in self._models and self._stamps[version] == stamp:
            return True
        if version in self.failures and self._stamps.get(version) == stamp:
            return False
        self._stamps[version] = stamp
        try:
            model = self._load(str(path))
            _warm_up(model, path)
        except Exception as error:
            # TensorFlow raises anything for damaged files: OpError, IndexError, DecodeError, …
            self.failures[version] = f"{type(error).__name__}: {error}"
            _LOG.warning("version %d cannot be loaded: %s", version, self.failures[version])
            return False
        self.failures.pop(version, None)
        with self._lock:
            self._models[version], self._paths[version] = model, path
        _LOG.info("version %d is loaded", version)
        return True

    def get(self, version: int | None = None, label: str | None = None) -> tuple[int, Any]:
        """A version and its model.

        Args:
          version: Which one; the highest when None.
          label: In place of a version.

        Raises:
          KeyError: if it is not loaded; the message says what is.
        """
        if label is not None:
            if label not in self._labels:
                raise KeyError(f"no version has the label {label!r}")
            version = self._labels[label]
        with self._lock:
            if not self._models:
                raise KeyError(f"no version below {self._base} could be loaded")
            chosen = max(self._models) if version is None else version
            if chosen not in self._models:
                raise KeyError(f"version {chosen} is not loaded; {sorted(self._models)} are")
            return chosen, self._models[chosen]

    def signature_defs(self, version: int) -> dict[str, Any]:
        """The ``SignatureDef`` protos of a loaded version, which a loaded model keeps no more.

        Raises:
          KeyError: if it is not loaded.
          FileNotFoundError: if its file has gone.
        """
        with self._lock:
            path = self._paths[version]
        saved: Any = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        return dict(saved.meta_graphs[0].signature_def)

    def versions(self) -> list[int]:
        """The loaded versions, in order."""
        with self._lock:
            return sorted(self._models)


def _warm_up(model: Any, path: Path) -> None:
    """Answers the exported warm-up requests, as TF Serving does before a version takes traffic."""
    if not (path / "assets.extra" / FILE).exists():
        return
    for request in read_warmup(path):
        call(model.signatures[SIGNATURE], {REQUEST: request})
