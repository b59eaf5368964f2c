"""The response models by the name under which a world is saved."""

from __future__ import annotations

from mtfx.environments.simulator.fitted_response import FittedResponse
from mtfx.environments.simulator.response import ResponseModel
from mtfx.environments.simulator.synthetic_response import SyntheticResponse
from mtfx.environments.simulator.table_response import TableResponse

RESPONSE_MODELS: dict[str, type[ResponseModel]] = {
    "fitted": FittedResponse,
    "synthetic_video": SyntheticResponse,
    "table": TableResponse,
}


def response_model_class(name: str) -> type[ResponseModel]:
    """The class of this name; raises ValueError naming the known ones."""
    if name not in RESPONSE_MODELS:
        raise ValueError(f"no response model {name!r}; there are: {', '.join(RESPONSE_MODELS)}")
    return RESPONSE_MODELS[name]


def response_model_name(model: ResponseModel) -> str:
    """The name of a model's class; raises ValueError if it is not registered."""
    for name, known in RESPONSE_MODELS.items():
        if type(model) is known:
            return name
    raise ValueError(
        f"{type(model).__name__} is not in RESPONSE_MODELS: register it, so that it can be loaded"
    )
