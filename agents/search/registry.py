"""The searches by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from mtfx.agents.search import bayesian, cem, evolution
from mtfx.agents.search.base import SearchResult


@dataclasses.dataclass(frozen=True)
class SearchEntry:
    """A registered search.

    Attributes:
      config: Class of its settings, all with defaults.
      maximise: ``(objective, dim, config, seed, progress=None)`` to a result.
      compared: Of a config, how many points of a call are compared with one another alone. They
        are to be tried on the same sessions, and those of the next comparison on others.
      description: One line for the command line's help.
    """

    config: type
    maximise: Callable[..., SearchResult]
    compared: Callable[[Any], int]
    description: str


SEARCHES: dict[str, SearchEntry] = {
    "bayesian": SearchEntry(
        bayesian.BayesianConfig,
        bayesian.maximise,
        # Its model compares all points, and takes what is luck of each for noise of its own.
        lambda config: config.batch,
        "Gaussian process with an upper confidence bound, few evaluations",
    ),
    "evolution": SearchEntry(
        evolution.EvolutionConfig,
        evolution.maximise,
        lambda config: config.population,
        "natural evolution strategy, also for the parameters of a network",
    ),
    "cem": SearchEntry(
        cem.CemConfig,
        cem.maximise,
        lambda config: config.population,
        "cross-entropy method",
    ),
}


def search_entry(name: str) -> SearchEntry:
    """The entry of this name; raises ValueError naming the known ones."""
    if name not in SEARCHES:
        raise ValueError(f"no search {name!r}; there are: {', '.join(SEARCHES)}")
    return SEARCHES[name]


def search_config(name: str, values: dict[str, Any]) -> Any:
    """A search's settings from JSON types.

    Raises:
      ValueError: if the name or a key is unknown, or a value is out of its range.
    """
    config = search_entry(name).config
    known = [field.name for field in dataclasses.fields(config)]
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"{config.__name__} has no {unknown}; it has: {', '.join(known)}")
    return config(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
