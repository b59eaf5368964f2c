"""Programs beside a served ranker. Nothing here needs the packages that trained it."""

from typing import TYPE_CHECKING

from mtfx.lazy import exports

if TYPE_CHECKING:
    from mtfx.serving.client import GrpcRankerClient, RestRankerClient, ServedModel
    from mtfx.serving.exploration import ExplorationPlan, TrialPlan, request_seed
    from mtfx.serving.interaction_log import InteractionLogger, RequestContext
    from mtfx.serving.messages import Ranking, RankingError
    from mtfx.serving.request import RequestBuilder, RequestError
else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "client": ("GrpcRankerClient", "RestRankerClient", "ServedModel"),
            "exploration": ("ExplorationPlan", "TrialPlan", "request_seed"),
            "interaction_log": ("InteractionLogger", "RequestContext"),
            "messages": ("Ranking", "RankingError"),
            "request": ("RequestBuilder", "RequestError"),
        },
    )
