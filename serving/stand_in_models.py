"""Models of the stand-in, as both its protocols need them, and the requests that it refuses."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf

from mtfx.serving.loaded_versions import LoadedVersions
from mtfx.serving.signature_calls import call


class RefusedError(Exception):
    """A request that is not answered.

    Attributes:
      code: Its status in gRPC.
      http_status: Its status in REST.
    """

    def __init__(self, code: grpc.StatusCode, http_status: int, message: str) -> None:
        super().__init__(message)
        self.code, self.http_status = code, http_status


def invalid(message: str) -> RefusedError:
    """The request is at fault."""
    return RefusedError(grpc.StatusCode.INVALID_ARGUMENT, 400, message)


def missing(message: str) -> RefusedError:
    """What the request names is not here."""
    return RefusedError(grpc.StatusCode.NOT_FOUND, 404, message)


def unsupported(message: str) -> RefusedError:
    """TF Serving would answer; its stand-in does not, and says so."""
    return RefusedError(grpc.StatusCode.UNIMPLEMENTED, 501, message)


class StandInModels:
    """Answers requests, whatever protocol they came by."""

    def __init__(self, name: str, versions: LoadedVersions) -> None:
        """Keeps what is served.

        Args:
          name: The one model's.
          versions: What is loaded of it.
        """
        self.name, self.versions = name, versions

    def predict(
        self,
        name: str,
        version: int | None,
        label: str | None,
        signature: str,
        inputs: Mapping[str, Any],
        output_filter: Collection[str] = (),
    ) -> tuple[int, dict[str, np.ndarray]]:
        """A signature's outputs and the version that computed them.

        Args:
          name: Of the model.
          version: Which one; the highest when None.
          label: In place of a version.
          signature: Of the SavedModel.
          inputs: By name; arrays of the signature's own types, or values of JSON.
          output_filter: Outputs that are wanted; all when empty.

        Raises:
          RefusedError: if the request cannot be answered.
        """
        number, model = self._loaded(name, version, label)
        if signature not in model.signatures:
            known = ", ".join(sorted(model.signatures))
            raise invalid(f"no signature {signature!r}; there are: {known}")
        function = model.signatures[signature]
        specs = function.structured_input_signature[1]
        if set(inputs) != set(specs):
            raise invalid(
                f"signature {signature} takes {', '.join(sorted(specs))}, not "
                f"{', '.join(sorted(inputs)) or 'nothing'}"
            )
        if unknown := sorted(set(output_filter) - set(function.structured_outputs)):
            raise invalid(
                f"signature {signature} has no output {', '.join(unknown)}; it has "
                f"{', '.join(sorted(function.structured_outputs))}"
            )
        try:
            outputs = call(function, inputs)
        except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
            raise invalid(str(error)) from error
        return number, {
            key: value.numpy()
            for key, value in outputs.items()
            if not output_filter or key in output_filter
        }

    def status(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> list[tuple[int, str | None]]:
        """Versions, and why one cannot be served (None: it is).

        Args:
          name: Of the model.
          version: Only this one.
          label: Only the version with this label.

        Raises:
          RefusedError: if there is no such model or version.
        """
        self._check_name(name)
        found: dict[int, str | None] = dict(self.versions.failures)
        found |= dict.fromkeys(self.versions.versions())
        if version is None and label is None:
            return sorted(found.items())
        if label is not None:
            version = self._loaded(name, None, label)[0]
        if version not in found:
            raise missing(f"version {version} of {name!r} is not known; {sorted(found)} are")
        assert version is not None
        return [(version, found[version])]

    def signature_defs(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """A version and its ``SignatureDef`` protos by name.

        Args:
          name: Of the model.
          version: Which one; the highest when None.
          label: In place of a version.

        Raises:
          RefusedError: if there is no such model or version.
        """
        number, _ = self._loaded(name, version, label)
        try:
            return number, self.versions.signature_defs(number)
        except (KeyError, FileNotFoundError) as error:
            raise missing(f"version {number} of {name!r} is being removed") from error

    def _loaded(self, name: str, version: int | None, label: str | None) -> tuple[int, Any]:
        self._check_name(name)
        try:
            return self.versions.get(version, label)
        except KeyError as error:
            raise missing(str(error.args[0])) from error

    def _check_name(self, name: str) -> None:
        if name != self.name:
            raise missing(f"no model {name!r} is served; {self.name!r} is")
