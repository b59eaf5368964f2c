"""Transitions of the fusion MDP: what one holds, and the manifest beside the files that hold them.

One transition is one request of a session: the state, the candidates' predictions, the fusion
weights that ranked them (the action), what the user did with the top item, and the next state.
The simulator's rollouts and served logs give the same record, so that whatever is trained on one
is trained on the other without a change. ``mtfx.datasets.transitions.codec`` writes and parses it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from mtfx.config import Config
from mtfx.errors import DataError
from mtfx.files import read_json, write_json

MANIFEST = "transitions.json"
#: Raised when a field changes its meaning, so that old files are refused and not misread.
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class TransitionSpec(Config):
    """Sizes of a transition and the names of its axes.

    Attributes:
      state_dim: S, size of the state.
      prediction_names: Of the K predictions that the fusion function combines, in order.
      feedback_names: Of the F feedbacks, in order.
      action_dim: A, size of the action, whose values lie in [-1, 1].

    Raises:
      ValueError: at construction, if a size is not positive or a name is missing or twice.
    """

    state_dim: int
    prediction_names: tuple[str, ...]
    feedback_names: tuple[str, ...]
    action_dim: int

    def __post_init__(self) -> None:
        for name in ("prediction_names", "feedback_names"):
            names = tuple(getattr(self, name))
            object.__setattr__(self, name, names)
            if not names or len(set(names)) != len(names):
                raise ValueError(f"a transition's {name} must be distinct names, not {names}")
        for name in ("state_dim", "action_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"a transition's {name} must be positive")

    @property
    def num_predictions(self) -> int:
        """K."""
        return len(self.prediction_names)

    @property
    def num_feedbacks(self) -> int:
        """F."""
        return len(self.feedback_names)

    def check_is(self, expected: TransitionSpec, where: str) -> None:
        """Raises DataError naming what differs if transitions are of another world or model.

        Args:
          expected: What the reader was made for.
          where: File or directory, for the message.
        """
        sizes = {
            "state size": (self.state_dim, expected.state_dim),
            "action size": (self.action_dim, expected.action_dim),
            "predictions": (list(self.prediction_names), list(expected.prediction_names)),
            "feedbacks": (list(self.feedback_names), list(expected.feedback_names)),
        }
        differences = [
            f"{name} {found} instead of {wanted}"
            for name, (found, wanted) in sizes.items()
            if found != wanted
        ]
        if differences:
            raise DataError(
                f"{where} holds transitions with {'; '.join(differences)}. They were written for "
                "another ranking model or simulator: run the interaction stage again with this one"
            )


@dataclasses.dataclass(frozen=True)
class TransitionManifest:
    """What the transition files of a directory are and where they come from.

    Attributes:
      spec: Sizes and names.
      config: Configuration of whatever wrote them, as JSON values; has the reward's weights.
      first_ms, last_ms: Unix times in ms of the earliest and latest request.
      code_version: Version of the code that wrote them.
      seed: Seed of the rollouts; None for served logs.
      fusion: The fusion function that the actions were for, as its config's ``action_meaning`` has
        it; None where whoever wrote the log did not say.
      format_version: Version of the record.
    """

    spec: TransitionSpec
    config: dict[str, Any]
    first_ms: int
    last_ms: int
    code_version: str = ""
    seed: int | None = None
    fusion: dict[str, Any] | None = None
    format_version: int = FORMAT_VERSION

    def check_fusion(self, expected: dict[str, Any], where: str) -> None:
        """Raises DataError if the actions were for another fusion function than expected.

        An action says nothing by itself: the weights of a formula are no coefficients of another.

        Args:
          expected: Of whoever is going to read the actions, as ``fusion`` is.
          where: File or directory, for the message.
        """
        # The manifest comes from JSON, where a tuple is a list.
        wanted = json.loads(json.dumps(expected))
        if self.fusion is not None and self.fusion != wanted:
            raise DataError(
                f"{where} holds actions of the fusion {self.fusion}, not of {wanted}: explore with "
                "the fusion that the policy is for"
            )

    def write(self, directory: str) -> None:
        """Writes ``transitions.json`` into a directory, whole or not at all."""
        write_json(os.path.join(directory, MANIFEST), dataclasses.asdict(self))

    @classmethod
    def read(cls, directory: str) -> TransitionManifest:
        """Reads the manifest of a directory.

        Raises:
          DataError: if there is none, or it is damaged or of another format version.
        """
        import tensorflow as tf

        path = os.path.join(directory, MANIFEST)
        if not tf.io.gfile.exists(path):
            raise DataError(
                f"{directory} has no {MANIFEST}, so it holds no transitions: give the directory "
                "that the interaction stage wrote"
            )
        try:
            values = read_json(path)
            version = values.get("format_version", FORMAT_VERSION)
        except (ValueError, AttributeError) as error:
            raise DataError(f"{path} is damaged ({error}): write the transitions again") from error
        # Looked at first: another version may well have other fields.
        if version != FORMAT_VERSION:
            raise DataError(
                f"{path} has format version {version}, this code reads {FORMAT_VERSION}: write the "
                "transitions again"
            )
        try:
            spec = TransitionSpec.from_dict(values.pop("spec"))
            return cls(spec=spec, **values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(f"{path} is damaged ({error}): write the transitions again") from error

    @classmethod
    def of_files(cls, directory: str) -> TransitionManifest:
        """That of a directory of files, or of the one above, where splits have theirs.

        Raises:
          DataError: if neither has one, or it is damaged or of another format version.
        """
        import tensorflow as tf

        above = os.path.dirname(os.path.abspath(directory))
        for place in (directory, above):
            if tf.io.gfile.exists(os.path.join(place, MANIFEST)):
                return cls.read(place)
        if not tf.io.gfile.exists(directory):
            raise DataError(
                f"there is no directory {directory}, where transitions and {MANIFEST} are"
            )
        raise DataError(
            f"neither {directory} nor {above} has a {MANIFEST}, so it holds no transitions: give "
            "the directory that the interaction stage wrote"
        )
