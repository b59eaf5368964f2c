"""The seed of a run takes the place of every seed of the configuration."""

from mtfx.components.cluster.seeded_trainer import with_seed


def test_seeds_are_replaced_at_any_depth_and_nothing_else():
    config = {
        "training": {"seed": 1, "epochs": 1},
        "model": {"sizes": [{"seed": 1, "units": [1, 2]}], "state": None},
        "rmtl": (1, "seed"),
    }
    assert with_seed(config, 7) == {
        "training": {"seed": 7, "epochs": 1},
        "model": {"sizes": [{"seed": 7, "units": [1, 2]}], "state": None},
        "rmtl": [1, "seed"],
    }
    assert config["training"]["seed"] == 1
