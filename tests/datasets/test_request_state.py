"""Names of a state's numbers."""

import pytest

from mtfx.datasets.registry import load_dataset
from mtfx.datasets.request_state import (
    RequestColumn,
    RequestStateConfig,
    request_state_config,
)
from mtfx.datasets.spec import DatasetSpec


def test_kuairand_state_has_counts_profile_context_past_and_session():
    spec = load_dataset("kuairand")
    config = request_state_config(spec, context=("tab", "hour", "step"))
    assert config.counts[:2] == ("user_id_impressions", "user_id_click_count")
    assert [column.name for column in config.context] == ["tab"]
    assert "user_id" not in {column.name for column in config.profile}
    assert config.watch_share
    assert config.past_names[-1] == "watch_share"
    names = config.state_names(("click", "like"))
    assert names[-2:] == ("mean_click", "mean_like")
    assert "session_views" in names
    assert len(set(names)) == len(names)
    assert RequestStateConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("name", ["retailrocket", "synthetic-video", "synthetic-shop"])
def test_every_data_set_has_a_state(name):
    spec = load_dataset(name)
    config = request_state_config(spec)
    assert config.feedback
    assert config.feedback_time == (spec.to_impressions is not None)
    assert config.attribute_names == config.names[: len(config.attribute_names)]


def test_data_set_without_history_still_reads_feedback():
    spec = load_dataset("kuairand")
    bare = DatasetSpec(
        **{
            name: getattr(spec, name)
            for name in ("name", "title", "log_files", "columns", "features", "tasks")
        },
        default_tasks=spec.default_tasks,
        side_tables=spec.side_tables,
        slices=(),
    )
    config = request_state_config(bare)
    assert config.counts == ()
    assert config.feedback


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"length": 0}, "length must be at least 1"),
        ({"gap_minutes": float("nan")}, "gap_minutes must be positive"),
        ({"counts": ("n", "n")}, "named twice: n"),
        ({"numbers": (RequestColumn("hour_sin", "int64"),)}, "named twice: hour_sin"),
    ],
)
def test_wrong_configs_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        RequestStateConfig(**values)
