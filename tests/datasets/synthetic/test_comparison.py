"""The video profile beside the real log's figures; whether the comparison would see it drift."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from mtfx.datasets.logs.in_memory import read_impressions
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.synthetic import SyntheticConfig, real_figures, synthesize
from mtfx.datasets.synthetic.comparison import ComparedFigure, compare


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The log and the truth of a seed that was not used for calibration."""
    path = tmp_path_factory.mktemp("comparison") / "data"
    synthesize(
        SyntheticConfig(impressions=1_000_000, seed=51, format="parquet", with_truth=True), path
    )
    log = read_impressions(load_dataset("synthetic-video"), str(path))
    truth = pl.concat(pl.read_parquet(file) for file in sorted(path.glob("truth_standard_*")))
    return log, truth


def by_name(figures):
    return {(figure.group, figure.name): figure for figure in figures}


def test_the_log_is_like_the_real_one(world):
    figures = compare(*world)
    assert len(figures) == 76
    assert {f"{f.group}: {f.name}": f.excess for f in figures if f.excess > 1} == {}


def test_figures_are_those_of_numpy(world):
    log, truth = world
    found = by_name(compare(log, truth))
    watch, duration = (log[name].to_numpy() for name in ("watch_time_ms", "duration_ms"))
    click, long_view = (log[name].to_numpy().astype(float) for name in ("click", "long_view"))
    assert found["watch time", "share of 0 s"].found == pytest.approx((watch == 0).mean())
    assert found["watch time", "share beyond"].found == pytest.approx((watch > duration).mean())
    assert found["rate", "long view if clicked"].found == pytest.approx(
        long_view[click == 1].mean()
    )
    assert found["quantile of watch_time_ms", "90%"].found == pytest.approx(
        np.quantile(watch, 0.9), rel=1e-3
    )
    video = truth["video_id"].to_numpy()
    counts = np.bincount(video)
    often = counts >= 200
    rates = [
        np.bincount(video, weights=truth[name].to_numpy())[often] / counts[often]
        for name in ("p_comment", "mean_watch_time_ms")
    ]
    assert found["videos, rank correlation", "watch_time_ms, comment"].found == pytest.approx(
        spearmanr(*rates).statistic, abs=1e-6
    )


def test_a_world_whose_feedbacks_agree_is_seen(world):
    """As the profile was before it was calibrated: like followed click."""
    log, _ = world
    rng = np.random.default_rng(0)
    like = log["click"].to_numpy().astype(bool) & (rng.random(log.height) < 0.04)
    found = by_name(compare(log.with_columns(like=pl.Series(like, dtype=log["like"].dtype))))
    assert found["items, correlation", "click, like"].excess > 3
    assert found["users, correlation", "click, like"].excess > 3
    assert ("videos, rank correlation", "like, follow") not in found


@pytest.mark.parametrize(
    ("real", "found", "relative", "excess"),
    [(2.0, 2.2, True, 1.0), (2.0, 2.2, False, 2.0), (-0.5, -0.6, False, 1.0)],
)
def test_excess_is_the_distance_in_tolerances(real, found, relative, excess):
    tolerance = 0.1
    figure = ComparedFigure("group", "name", real, found, tolerance, relative)
    assert figure.excess == pytest.approx(excess)


def test_what_the_log_cannot_tell_is_out_of_tolerance():
    assert ComparedFigure("group", "name", 0.1, float("nan"), 0.1).excess == float("inf")


def test_the_real_log_has_these_figures(shared_data):
    """Where the rows are at hand: the constants are theirs, but for the halves that are drawn."""
    source = shared_data / "kuairand_pure"
    if not source.is_dir():
        pytest.skip("no kuairand_pure in ../shared/data beside the checkout")
    log = read_impressions(load_dataset("kuairand"), str(source))
    # The rates are those of the whole month.
    figures = [f for f in compare(log) if f.group != "rate" or " if " in f.name]
    assert len(figures) == 57
    assert {f"{f.group}: {f.name}": f.excess for f in figures if f.excess > 0.75} == {}
    assert log["click"].mean() == pytest.approx(real_figures.OWN_RATES["click"], abs=1e-3)
    assert log["like"].mean() == pytest.approx(real_figures.OWN_RATES["like"], abs=1e-4)
