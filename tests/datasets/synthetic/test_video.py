import numpy as np
import polars as pl
import pytest

from mtfx.datasets.logs.sessions import sessionise
from mtfx.datasets.spec import SessionRule
from mtfx.datasets.synthetic import VIDEO_SPEC, SyntheticConfig, synthesize
from mtfx.datasets.synthetic.user_model import VIDEO_MODEL

TAG = "synthetic"
STANDARD = ("standard_4_08_to_4_21", "standard_4_22_to_5_08")
RANDOM = "random_4_22_to_5_08"
LABELS = {
    "click": "is_click",
    "long_view": "long_view",
    "like": "is_like",
    "follow": "is_follow",
    "comment": "is_comment",
    "forward": "is_forward",
    "hate": "is_hate",
}
FULL_LOG = [
    *("user_id", "video_id", "date", "hourmin", "time_ms", "is_click", "is_like", "is_follow"),
    *("is_comment", "is_forward", "is_hate", "long_view", "play_time_ms", "duration_ms"),
    *("profile_stay_time", "comment_stay_time", "is_profile_enter", "is_rand", "tab"),
]


@pytest.fixture(scope="module")
def log(video) -> pl.DataFrame:
    return video.read(*(f"log_{name}_{TAG}" for name in STANDARD))


@pytest.fixture(scope="module")
def random_log(video) -> pl.DataFrame:
    return video.read(f"log_{RANDOM}_{TAG}")


@pytest.fixture(scope="module")
def truth(video) -> pl.DataFrame:
    return video.read(*(f"truth_{name}_{TAG}" for name in STANDARD))


def header(path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n", 1)[0].split(",")


def test_layout_is_kuairands(video, shared_data, log):
    real = shared_data / "kuairand"
    for ours, theirs in (
        (f"user_features_{TAG}.csv", "user_features_pure.csv"),
        (f"video_features_basic_{TAG}.csv", "video_features_basic_pure.csv"),
    ):
        assert header(video.directory / ours) == header(real / theirs)
    sample = header(real / "log_standard_4_08_to_4_21_27k_sample.csv")
    assert [name for name in log.columns if name in sample] == sample
    values = pl.read_csv(real / "user_features_pure.csv", infer_schema_length=None)
    users = video.read(f"user_features_{TAG}")
    for name in VIDEO_SPEC.side_tables[0].columns:
        if name.source.endswith("_range") or name.source == "user_active_degree":
            assert set(users[name.source]) <= set(values[name.source])


def test_logs_have_every_column_and_exact_counts(video, log, random_log):
    assert log.columns == random_log.columns == FULL_LOG
    assert log.height == video.config.impressions
    # Met approximately, as exposures are random: 10 standard errors.
    expected = video.config.random_share * video.config.impressions
    assert random_log.height == pytest.approx(expected, rel=10 / expected**0.5)
    for name, days in zip(STANDARD, ((408, 421), (422, 508)), strict=True):
        dates = video.read(f"log_{name}_{TAG}")["date"] % 10_000
        assert (dates.min(), dates.max()) == days
    assert set(random_log["is_rand"]) == {1}
    assert set(log["is_rand"]) == {0}
    assert random_log["date"].min() == 20220422


def test_date_and_hour_are_local(log):
    local = pl.from_epoch(log["time_ms"] + 8 * 3_600_000, time_unit="ms")
    assert local.dt.strftime("%Y%m%d").cast(pl.Int64).equals(log["date"])
    assert (local.dt.hour().cast(pl.Int64) * 100).equals(log["hourmin"])


def test_published_rates(video, log):
    published = dict(zip(VIDEO_MODEL.tasks, VIDEO_MODEL.rates, strict=True))
    for task, column in LABELS.items():
        found = log[column].mean()
        assert found == pytest.approx(video.summary.rates[task])
        spread = 4 * (published[task] / log.height) ** 0.5
        assert found == pytest.approx(published[task], rel=0.05, abs=spread)


def test_published_rates_at_the_least_size(tmp_path):
    """A thousand rows are of 19 users, whose own rates differ more than they can be calibrated."""
    for seed in range(3):
        config = SyntheticConfig(impressions=1_000, seed=seed)
        rates = synthesize(config, tmp_path / str(seed)).rates
        assert rates["click"] == pytest.approx(0.3793, rel=0.1)
        assert rates["long_view"] == pytest.approx(0.2635, rel=0.12)
        assert rates["like"] == pytest.approx(0.0151, abs=0.006)


def test_users_and_items_have_long_tails(video, log, random_log):
    per_item = log["video_id"].value_counts()["count"].sort(descending=True)
    top = per_item[: video.config.item_count // 100].sum() / log.height
    at_random = random_log["video_id"].value_counts()["count"].sort(descending=True)
    assert top > 0.05
    assert at_random[: video.config.item_count // 100].sum() / random_log.height < 0.04
    per_user = log["user_id"].value_counts()["count"].sort(descending=True)
    assert per_user[: video.config.user_count // 100].sum() / log.height > 0.04
    assert per_user.median() < 0.8 * per_user.mean()


def test_random_exposure_is_uniform(video, random_log):
    counts = np.bincount(random_log["video_id"].to_numpy(), minlength=video.config.item_count)
    expected = random_log.height / video.config.item_count
    chi_square = ((counts - expected) ** 2 / expected).sum()
    freedom = video.config.item_count - 1
    assert abs(chi_square - freedom) < 5 * (2 * freedom) ** 0.5


def test_the_logging_policy_prefers_what_users_like(log, random_log):
    assert log["is_click"].mean() > random_log["is_click"].mean() + 0.02


def test_tables_cover_the_log(video, log, random_log):
    users, items = video.read(f"user_features_{TAG}"), video.read(f"video_features_basic_{TAG}")
    assert users["user_id"].to_list() == list(range(video.config.user_count))
    assert sorted(items["video_id"]) == list(range(video.config.item_count))
    both = pl.concat([log, random_log]).join(items, on="video_id", validate="m:1")
    assert (both["duration_ms"] == both["video_duration"]).all()
    assert both["user_id"].n_unique() == video.summary.users == video.config.user_count
    assert both["video_id"].n_unique() == video.summary.items


def test_watch_time_agrees_with_long_view_and_click(log):
    threshold = pl.min_horizontal("duration_ms", pl.lit(18_000))
    assert log.select(((pl.col("play_time_ms") >= threshold) == pl.col("long_view")).all()).item()
    assert log.filter(pl.col("long_view") == 1)["is_click"].mean() > 0.94
    clicked = log.filter(pl.col("is_click") == 1)["play_time_ms"]
    assert clicked.median() > 4 * log.filter(pl.col("is_click") == 0)["play_time_ms"].median()
    assert (log["play_time_ms"] <= 3 * log["duration_ms"]).all()


def test_sparse_feedback_goes_together(log):
    liked = log.filter(pl.col("is_like") == 1)
    assert liked["is_click"].mean() > 1.5 * log["is_click"].mean()
    assert liked["is_comment"].mean() > 2 * log["is_comment"].mean()


def test_the_sessions_can_be_cut_again(log, random_log):
    frame = pl.concat([log, random_log]).select(
        "user_id", item_id="video_id", timestamp_ms="time_ms"
    )
    sessions = sessionise(frame, SessionRule())
    lengths = sessions.group_by("session").len()["len"]
    assert lengths.mean() == pytest.approx(VIDEO_MODEL.session_length, rel=0.05)
    spans = sessions.group_by("session").agg(
        (pl.col("timestamp_ms").max() - pl.col("timestamp_ms").min()).alias("span")
    )
    assert spans["span"].max() <= VIDEO_MODEL.longest_session_ms


def test_satisfaction_carries_over_by_the_rule(truth, log):
    """Recomputed with plain NumPy: s' = 0.95 s + 0.05 r while the session lasts."""
    first = truth.filter(
        pl.col("time_ms") < log.filter(pl.col("date") == 20220422)["time_ms"].min()
    )
    same = (first["user_id"].diff() == 0) & (first["time_ms"].diff() < 30 * 60_000)
    same = same.fill_null(False).to_numpy()[1:]
    s = first["satisfaction"].to_numpy()
    labels = {task: first[task].to_numpy() for task in LABELS}
    further = np.any([labels[t] for t in ("like", "follow", "comment", "forward")], axis=0)
    reward = 0.4 * labels["click"] + 0.4 * labels["long_view"] + 0.2 * further
    reward = np.where(labels["hate"] == 1, 0.0, reward)
    assert same.sum() > 10_000
    np.testing.assert_allclose(s[1:][same], (0.95 * s + 0.05 * reward)[:-1][same], atol=1e-6)


def test_satisfaction_is_felt_within_a_session_not_across(log):
    ordered = log.sort("user_id", "time_ms")
    # A user's own rate is taken out, as it is the same in every session.
    click = (
        ordered["is_click"] - ordered.select(pl.col("is_click").mean().over("user_id")).to_series()
    ).to_numpy()
    same_user = np.diff(ordered["user_id"].to_numpy()) == 0
    near = np.diff(ordered["time_ms"].to_numpy()) < 30 * 60_000
    within = np.corrcoef(click[:-1][same_user & near], click[1:][same_user & near])[0, 1]
    across = np.corrcoef(click[:-1][same_user & ~near], click[1:][same_user & ~near])[0, 1]
    assert within > 0.015
    assert within > across + 0.015


def test_satisfied_users_stay_longer(truth):
    ordered = truth.sort("user_id", "time_ms")
    leaves = (ordered["user_id"].diff().shift(-1) != 0) | (
        ordered["time_ms"].diff().shift(-1) > 30 * 60_000
    )
    leaves = leaves.fill_null(True).to_numpy()
    s = ordered["satisfaction"].to_numpy()
    low, high = np.quantile(s, [0.2, 0.8])
    assert leaves[s < low].mean() > 1.3 * leaves[s > high].mean()


def test_rows_of_a_user_are_in_time_order(video):
    for name in (*STANDARD, RANDOM):
        frame = video.read(f"log_{name}_{TAG}")
        same_user = frame["user_id"].diff() == 0
        assert (frame["time_ms"].diff().filter(same_user) > 0).all()


def test_observable_columns_carry_signal(video, log, truth):
    """The share of the click score's variance between the codes of a column beats chance."""
    score = np.log(truth["p_click"] / (1 - truth["p_click"]))
    users, items = video.read(f"user_features_{TAG}"), video.read(f"video_features_basic_{TAG}")
    frame = log.with_columns(score=score).join(users, on="user_id").join(items, on="video_id")
    shares = {}
    for column in ("onehot_feat9", "register_days_range", "upload_type", "tab", "onehot_feat17"):
        between = frame.select(pl.col("score").mean().over(column)).to_series().var()
        shares[column] = between / frame["score"].var()
    noise = shares.pop("onehot_feat17")
    assert all(share > max(0.004, 3 * noise) for share in shares.values()), (shares, noise)
