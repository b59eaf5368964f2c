"""Repeat of xMTF's Table 3 in the paper's own simulator, and under independent users."""

from __future__ import annotations

import dataclasses
from typing import Any

from mtfx.errors import UserError
from mtfx.experiments.engine.data import SimulatedWorld
from mtfx.experiments.engine.design import Design, FusionOptions, RowKey, TableColumn, TableDesign
from mtfx.experiments.xmtf.tables import printed_in_table_3, trials_of
from mtfx.experiments.xmtf.trial import METHODS, XmtfTrial

#: Of ``mtfx.experiments.xmtf.trial.METHODS``, from the least that can follow a prediction on.
_METHODS = ("equal", "cem_2", "td3_2", "batchrl_1", "batchrl_2", "xmtf", "longest")
_BEST_FORMULA, _LONGEST = "batchrl_2", "longest"
_ROWS: tuple[RowKey, ...] = tuple(
    (world, figure)
    for world in ("simulator", "independent")
    for figure in ("watch_s", "views", "positive_rate")
)
_RULES = (
    "Users answer with the ranking model's own prediction: what is watched is what it predicts. So "
    "*longest expected*, which shows what is predicted to be watched longest, is the best that can "
    "be done, up to the order within a session, and a figure of *simulator* says how well a policy "
    "follows that prediction. Rules: reward seconds / 400, satisfaction 0.95 s + 0.05 reward, exit "
    "below 0.1, logged seconds / 10,000 and at least 0.11 to begin with, 1,000 candidates, at most "
    "97 views."
)
_INDEPENDENT = (
    "*independent* is the same policy on sessions of the same users, pools, predictions and rules, "
    "where users do not answer with the ranking model's prediction."
)
_QUESTION = (
    "The paper's xMTF has 1.08 times the watch time of BatchRL-MTF-2, its best formula-based "
    "method."
)


def published(options: FusionOptions) -> Design:
    """Table 3's methods against BatchRL-MTF-2, and against showing the longest prediction."""
    rules = _published_settings()
    options = dataclasses.replace(
        options, settings=tuple({**rules, **dict(options.settings)}.items())
    )
    titles = {name: METHODS[name].title for name in _METHODS}
    columns = [
        TableColumn(
            title,
            trials_of(options, name),
            {titles[other]: titles[other] for other in (_BEST_FORMULA, _LONGEST) if other != name},
            printed_in_table_3(title),
        )
        for name, title in titles.items()
    ]
    return Design.of(
        TableDesign(
            "xMTF, Table 3, in its published simulator",
            tuple(columns),
            _ROWS,
            "its KuaiRand simulator",
            (_RULES, _INDEPENDENT, _QUESTION),
            "in the published simulator (circular)",
            deviations=True,
            paper_changes=False,
        )
    )


def run_trial(
    data: SimulatedWorld, trial: XmtfTrial, directories: dict[str, str]
) -> dict[str, Any]:
    """As :func:`mtfx.experiments.xmtf.run.run_trial`, in a world of the response ``published``.

    Raises:
      UserError: if the world is another.
    """
    # TensorFlow is slow to import, and whoever lists the experiments needs none.
    from mtfx.experiments.xmtf import run

    if not data.caveat:
        raise UserError(
            f"the world {data.directory} does not answer with the ranking model's prediction",
            "make one with `mtfx simulator --response published`",
        )
    return run.run_trial(data, trial, directories)


def _published_settings() -> dict[str, int]:
    from mtfx.environments.simulator.config import PUBLISHED_RULES

    return {name: getattr(PUBLISHED_RULES, name) for name in ("candidates", "max_views")}
