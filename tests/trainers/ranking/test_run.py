"""The run function's configuration; the function itself runs in tests/pipelines/test_ranking.py."""

import json
import types

from mtfx.datasets.registry import load_dataset
from mtfx.models.config import ModelConfig
from mtfx.models.model_inputs import model_inputs
from mtfx.models.mtl.registry import PleConfig
from mtfx.trainers.ranking.config import RankingTrainerConfig, TrainingConfig


def test_the_configuration_survives_json():
    config = RankingTrainerConfig(
        dataset="kuairand",
        tasks=("click", "like"),
        model=ModelConfig("ple", PleConfig(num_levels=2), task_weights=(("like", 2.0),)),
        training=TrainingConfig(seed=3, epochs=4),
        checkpoint_dir="checkpoints",
        code_version="1",
    )
    text = json.dumps(config.to_dict())
    assert RankingTrainerConfig.from_dict(json.loads(text)) == config


def test_inputs_have_the_vocabularies_size_with_its_buckets():
    spec = load_dataset("retailrocket")
    output = types.SimpleNamespace(vocabulary_size_by_name=lambda name: len(name))
    inputs = {feature.name: feature for feature in model_inputs(spec, output)}
    assert set(inputs) == {feature.name for feature in spec.features}
    assert inputs["item_id"].vocabulary_size == len("item_id") + 8
    assert inputs["item_id"].table == "item_id"
    assert inputs["property_785"].vocabulary_size == len("property") + 8
    assert inputs["property_785"].table == inputs["category_id"].table == "property"
