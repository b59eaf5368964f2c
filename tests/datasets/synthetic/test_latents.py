import numpy as np
import pytest

from mtfx.datasets.synthetic.latents import (
    effects,
    feedback_scores,
    observed_part,
    trait_scores,
    zipf_ranks,
)
from mtfx.datasets.synthetic.user_model import OBSERVED_SHARE, SHOP_MODEL, VIDEO_MODEL


@pytest.mark.parametrize("exponent", [0.4, 0.8])
def test_zipf_ranks_follow_the_power_law(exponent):
    items = 500
    ranks = zipf_ranks(np.random.default_rng(0).random(400_000), items, exponent)
    edges = np.arange(1.0, items + 2)
    mass = np.diff(edges ** (1 - exponent))
    mass /= mass.sum()
    found = np.bincount(ranks, minlength=items) / len(ranks)
    assert np.abs(found - mass).max() < 5 * np.sqrt(mass.max() / len(ranks))


def test_zipf_ranks_stay_in_range_in_single_precision():
    ranks = zipf_ranks(np.nextafter(np.ones(3, np.float32), np.float32(0)), 1_000_003, 0.8)
    assert np.all((ranks >= 0) & (ranks < 1_000_003))


def test_codes_explain_the_stated_share_of_a_latent():
    rng = np.random.default_rng(0)
    first, second = effects(rng, 60, 4), effects(rng, 7, 4)
    codes = rng.integers(0, 60, 50_000), rng.integers(0, 7, 50_000)
    latent = observed_part(rng, first[codes[0]], second[codes[1]])
    told = (first[codes[0]] + second[codes[1]]) / np.sqrt(2)
    assert latent.std() == pytest.approx(1.0, abs=0.02)
    assert np.corrcoef(latent[:, 0], told[:, 0])[0, 1] ** 2 == pytest.approx(
        OBSERVED_SHARE, abs=0.02
    )


def test_feedback_scores_share_utility_and_inclination():
    rng = np.random.default_rng(0)
    utility = rng.standard_normal(100_000).astype(np.float32)
    inclination = rng.standard_normal(100_000).astype(np.float32)
    scores = feedback_scores(rng, SHOP_MODEL, utility, inclination)
    weights, sd = np.array(SHOP_MODEL.utility_weights), np.array(SHOP_MODEL.trait_sd)
    expected = np.outer(weights, weights) + np.outer(sd, sd) * 0.5
    expected[np.diag_indices_from(expected)] += 0.5 * sd**2
    np.testing.assert_allclose(np.cov(scores.T), expected, atol=0.02)


def test_trait_scores_have_two_families_that_do_not_know_of_each_other():
    rng = np.random.default_rng(0)
    viewing, interacting = rng.standard_normal((2, 100_000)).astype(np.float32)
    traits = VIDEO_MODEL.videos
    scores = trait_scores(rng, traits, viewing, interacting)
    expected = np.outer(traits.viewing, traits.viewing)
    expected += np.outer(traits.interacting, traits.interacting) + np.diag(np.square(traits.own))
    scale = np.sqrt(np.outer(expected.diagonal(), expected.diagonal()))
    np.testing.assert_allclose(np.cov(scores.T) / scale, expected / scale, atol=0.02)
