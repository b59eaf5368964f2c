import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.datasets.synthetic import PUBLISHED, SyntheticConfig, default_items, default_users


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"profile": "music"}, "profile 'music' is not one of video, shop"),
        ({"format": "json"}, "format 'json'"),
        ({"impressions": 999}, "impressions 999"),
        ({"impressions": 2_000_000_000}, "impressions 2,000,000,000"),
        ({"seed": -1}, "seed -1"),
        ({"random_share": 1.5}, "random_share 1.5"),
        ({"items": 3}, "items 3"),
        ({"users": 2, "impressions": 10_000}, "users 2 is not between 34 and 10,000"),
        ({"users": 10_001, "impressions": 10_000}, "users 10,001"),
    ],
)
def test_bad_values_are_named(changes, named):
    with pytest.raises(ValueError, match=named):
        SyntheticConfig(**changes)


@pytest.mark.parametrize("profile", ["video", "shop"])
def test_published_size_has_the_published_users_and_items(profile):
    size = PUBLISHED[profile]
    config = SyntheticConfig(profile=profile, impressions=size.impressions)
    assert (config.user_count, config.item_count) == (size.users, size.items)


@given(st.sampled_from(["video", "shop"]), st.integers(1_000, 500_000_000))
def test_defaults_grow_with_the_size_and_are_allowed(profile, impressions):
    users, items = default_users(profile, impressions), default_items(profile, impressions)
    assert users <= default_users(profile, 2 * impressions)
    assert items <= default_items(profile, 2 * impressions)
    SyntheticConfig(profile=profile, impressions=impressions, users=users, items=items)
