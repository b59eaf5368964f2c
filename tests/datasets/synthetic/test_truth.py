import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from mtfx.datasets.synthetic import SyntheticConfig, auc_ceiling, synthesize
from mtfx.errors import DataError

VIDEO_TRUTH = (
    "truth_standard_4_08_to_4_21_synthetic",
    "truth_standard_4_22_to_5_08_synthetic",
)
PUBLISHED_TASKS = [
    ("video", ("click", "long_view", "like", "follow", "comment", "forward", "hate")),
    ("shop", ("click", "pay")),
]


def truth_of(written) -> pl.DataFrame:
    stems = VIDEO_TRUTH if written.config.profile == "video" else ("truth_views",)
    return written.read(*stems)


@pytest.mark.parametrize(("profile", "tasks"), PUBLISHED_TASKS)
def test_ceiling_is_scikit_learns_auc_of_the_truth(profile, tasks, request):
    written = request.getfixturevalue(profile)
    truth = truth_of(written)
    ceiling = auc_ceiling(written.directory)
    assert tuple(ceiling) == tasks
    for task in tasks:
        expected = roc_auc_score(truth[task].to_numpy(), truth[f"p_{task}"].to_numpy())
        assert ceiling[task] == pytest.approx(expected, abs=1e-6)
    assert 0.70 < ceiling["click"] < 0.88
    assert all(0.68 < value < 0.995 for value in ceiling.values())


@pytest.mark.parametrize(("profile", "tasks"), PUBLISHED_TASKS)
def test_probabilities_are_calibrated(profile, tasks, request):
    truth = truth_of(request.getfixturevalue(profile))
    for task in tasks:
        p, y = truth[f"p_{task}"].to_numpy(), truth[task].to_numpy()
        order = np.argsort(p)
        for rows in np.array_split(order, 8):
            spread = np.sqrt((p[rows] * (1 - p[rows])).sum())
            assert abs(y[rows].sum() - p[rows].sum()) < 4.5 * spread + 1


def test_the_mean_watch_time_is_that_of_the_log(video):
    names = ("standard_4_08_to_4_21", "standard_4_22_to_5_08")
    truth = video.read(*(f"truth_{name}_synthetic" for name in names))
    log = video.read(*(f"log_{name}_synthetic" for name in names))
    mean, watch = truth["mean_watch_time_ms"].to_numpy(), log["play_time_ms"].to_numpy()
    for rows in np.array_split(np.argsort(mean), 8):
        spread = watch[rows].std() / len(rows) ** 0.5
        assert watch[rows].mean() == pytest.approx(mean[rows].mean(), abs=4.5 * spread)


def test_truth_is_aligned_with_the_logs(video):
    for name in ("standard_4_08_to_4_21", "standard_4_22_to_5_08", "random_4_22_to_5_08"):
        log, truth = video.read(f"log_{name}_synthetic"), video.read(f"truth_{name}_synthetic")
        keys = ["user_id", "video_id", "time_ms"]
        assert log.select(keys).equals(truth.select(keys))
        for task in ("click", "like", "follow", "comment", "forward", "hate"):
            assert log[f"is_{task}"].equals(truth[task])
        assert log["long_view"].equals(truth["long_view"])


def test_random_exposure_has_a_ceiling_of_its_own(video):
    assert auc_ceiling(video.directory, "random") != auc_ceiling(video.directory)


def test_a_task_without_positives_has_no_ceiling(tmp_path):
    pl.DataFrame(
        {"visitorid": [1, 2], "satisfaction": [0.3, 0.3], "pay": [0, 0], "p_pay": [0.1, 0.2]}
    ).write_csv(tmp_path / "truth_views.csv")
    assert np.isnan(auc_ceiling(tmp_path)["pay"])


def test_data_without_truth_says_how_to_get_it(tmp_path):
    synthesize(SyntheticConfig(impressions=1_000), tmp_path / "data")
    with pytest.raises(DataError, match="with_truth=True"):
        auc_ceiling(tmp_path / "data")
    with pytest.raises(DataError, match="with_truth=True"):
        auc_ceiling(tmp_path / "missing")
