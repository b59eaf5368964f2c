"""Resolver strategy: the latest blessed model that is older than the candidate."""

from __future__ import annotations

import logging

from ml_metadata import MetadataStore
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
    LatestBlessedModelStrategy,
)
from tfx.dsl.io import fileio
from tfx.types import Artifact

MODEL, BLESSING, CANDIDATE = "model", "model_blessing", "candidate"


class EarlierBlessedModelStrategy(LatestBlessedModelStrategy):
    """Resolves the baseline of an evaluation from ``model``, ``model_blessing``, ``candidate``.

    TFX's own strategy takes the latest blessed model of all. Run again with nothing changed, that
    is the candidate itself: the Evaluator would compare it with itself and the Pusher push it a
    second time. Taking only models that existed before the candidate gives a second run the inputs
    of the first, so that the cache holds. One whose files were removed is none; the log says so.
    """

    def resolve_artifacts(
        self, store: MetadataStore, input_dict: dict[str, list[Artifact]]
    ) -> dict[str, list[Artifact]]:
        """Returns at most one model with its blessing, and no candidate.

        Raises:
          ValueError: if the channels have other names than the class says.
        """
        if set(input_dict) != {MODEL, BLESSING, CANDIDATE}:
            raise ValueError(f"expected the channels {MODEL}, {BLESSING}, {CANDIDATE}")
        before = min((artifact.id for artifact in input_dict[CANDIDATE]), default=0)
        earlier = [
            artifact
            for artifact in input_dict[MODEL]
            if artifact.id < before and _is_there(artifact)
        ]
        found = super().resolve_artifacts(
            store, {MODEL: earlier, BLESSING: list(input_dict[BLESSING])}
        )
        return {CANDIDATE: [], **(found or {MODEL: [], BLESSING: []})}


def _is_there(model: Artifact) -> bool:
    found = fileio.exists(model.uri)
    if not found:
        logging.getLogger(__name__).warning(
            "%s is not there any more: no candidate is compared with it", model.uri
        )
    return found
