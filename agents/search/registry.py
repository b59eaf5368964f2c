"""The searches for fusion policies in the simulator, by name."""

from __future__ import annotations

import dataclasses

from mtfx.agents.search.base import SearchConfig
from mtfx.agents.search.bayesian import BayesianConfig
from mtfx.agents.search.cem import CemConfig
from mtfx.agents.search.evolution import EvolutionConfig
from mtfx.registry import Entry, Registry


@dataclasses.dataclass(frozen=True)
class SearchEntry(Entry):
    """A registered search.

    Attributes:
      target: ``(objective, dim, config, seed, progress=None)`` to a result; empty searches nothing.
      config: Class of its settings.
      personalised: Whether the parameters are those of a network from the state to the weights,
        or the weights themselves, the same for everybody.
    """

    config: type[SearchConfig]
    personalised: bool = False


#: No personalisation and no search: equal weights for all predictions.
CONSTANT = "constant"
#: BatchRL-MTF's baselines BO and ES (section 4.4.1), xMTF's CEM, and none at all.
SEARCHES: Registry[SearchEntry] = Registry(
    "search",
    {
        CONSTANT: SearchEntry("", SearchConfig, "equal weights for everybody"),
        "bo": SearchEntry(
            "agents.search.bayesian:maximise",
            BayesianConfig,
            "Bayesian optimisation of one set of weights",
        ),
        "es": SearchEntry(
            "agents.search.evolution:maximise",
            EvolutionConfig,
            "a small network found by evolution strategy",
            personalised=True,
        ),
        "cem": SearchEntry(
            "agents.search.cem:maximise", CemConfig, "cross-entropy method on one set of weights"
        ),
    },
)
