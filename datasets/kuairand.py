"""KuaiRand: short-video impressions of Kuaishou with up to twelve feedback signals.

Gao et al., "KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed
Videos", CIKM 2022; https://kuairand.com, CC BY-SA 4.0. The same layout is published in three
sizes (Pure, 1K, 27K).

RMTL's two tasks on it are click and long view (its log-losses match their rates); the watch time is
trained with them by default, as it is fused with them. xMTF uses six feedback signals and the watch
time. ``video_features_statistic`` is left out on purpose: it counts feedback over the whole month,
so it would tell training about the test days. The random exposure log is not part of the ranking
log: the simulator fits its response model on it.
"""

from __future__ import annotations

import dataclasses

from mtfx.datasets.history import History
from mtfx.datasets.spec import Column, DatasetSpec, Feature, KnownFile, SideTable, Task

_USER_CATEGORIES = (
    "is_lowactive_period",
    "is_live_streamer",
    "is_video_author",
    *(f"onehot_feat{i}" for i in range(18)),
)
_USER_RANGES = (
    "user_active_degree",
    "follow_user_num_range",
    "fans_user_num_range",
    "friend_user_num_range",
    "register_days_range",
)


def _code(name: str) -> Column:
    # Several codes are written as floats ("4.0") and may be empty, so they are kept as text.
    return Column(name, name, "context", dtype="string", required=False)


USER_TABLE = SideTable(
    files=("user_features_*.csv*", "user_features_*.parquet"),
    key="user_id",
    on="user_id",
    columns=tuple(_code(name) for name in _USER_RANGES + _USER_CATEGORIES),
)
VIDEO_TABLE = SideTable(
    files=("video_features_basic_*.csv*", "video_features_basic_*.parquet"),
    key="video_id",
    on="item_id",
    columns=(
        Column("author_id", "author_id", "context", required=False),
        _code("video_type"),
        _code("upload_type"),
        _code("music_type"),
        dataclasses.replace(_code("tag"), delimiter=","),
    ),
    same_version=True,
)

SPEC = DatasetSpec(
    name="kuairand",
    title="KuaiRand (Kuaishou short video): click, long view, like, follow, comment, forward",
    log_files=("log_standard_*.csv", "log_standard_*.csv.gz", "log_standard_*.parquet"),
    columns=(
        Column("user_id", "user_id", "user"),
        Column("item_id", "video_id", "item"),
        Column("timestamp_ms", "time_ms", "timestamp"),
        Column("tab", "tab", "context", required=False, default=-1),
        Column("click", "is_click", "label"),
        Column("long_view", "long_view", "label"),
        Column("like", "is_like", "label"),
        Column("follow", "is_follow", "label"),
        Column("comment", "is_comment", "label"),
        Column("forward", "is_forward", "label"),
        Column("hate", "is_hate", "label"),
        Column("watch_time_ms", "play_time_ms", "watch_time", dtype="float32"),
        Column("duration_ms", "duration_ms", "context", dtype="float32"),
    ),
    features=(
        Feature("user_id", "categorical", level="session"),
        Feature("item_id", "categorical"),
        Feature("author_id", "categorical"),
        Feature("tag", "multivalued", dtype="string", max_values=4),
        Feature("video_type", "categorical", dtype="string", vocabulary="context"),
        Feature("upload_type", "categorical", dtype="string", vocabulary="context"),
        Feature("music_type", "categorical", dtype="string", vocabulary="context"),
        Feature("tab", "categorical", level="request", vocabulary="context"),
        Feature("hour", "categorical", vocabulary="context"),
        Feature("step_bucket", "categorical", dtype="string", vocabulary="context"),
        Feature("duration_ms", "numeric", dtype="float32", log_scale=True),
        *(
            Feature(name, "categorical", level="session", dtype="string", vocabulary="profile")
            for name in _USER_RANGES + _USER_CATEGORIES
        ),
    ),
    tasks=(
        Task("click"),
        Task("long_view", parent="click"),
        Task("like"),
        Task("follow"),
        Task("comment"),
        Task("forward"),
        Task("hate", negative=True),
        Task("watch_time_ms", kind="regression", unit=1000.0),
    ),
    default_tasks=("click", "long_view", "watch_time_ms"),
    side_tables=(USER_TABLE, VIDEO_TABLE),
    slices=("user_active_degree", "tab", "hour"),
    utc_offset_hours=8.0,
    random_log_files=("log_random_*.csv", "log_random_*.csv.gz", "log_random_*.parquet"),
    known_files=(
        KnownFile("KuaiRand-Pure.tar.gz", "md5", "0820331067a3784d9691136f772b35a7"),
        KnownFile("KuaiRand-1K.tar.gz", "md5", "6b0b9c8222d67fcd4c676218edca3f1f"),
    ),
    source="https://kuairand.com (CC BY-SA 4.0)",
    history=History(),
)
