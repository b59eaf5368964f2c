"""What the stand-in answers and refuses, whatever protocol a request came by."""

import grpc
import numpy as np
import pytest
import tensorflow as tf

from mtfx.serving.loaded_versions import LoadedVersions
from mtfx.serving.stand_in_models import RefusedError, StandInModels


class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="state")])
    def add(self, state):
        return {"scores": state + 1.0, "state": state}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    base = tmp_path_factory.mktemp("base")
    model = Model()
    for version in ("3", "4"):
        tf.saved_model.save(model, str(base / version), {"serving_default": model.add})
    (base / "5").mkdir()
    (base / "5" / "saved_model.pb").write_bytes(b"damaged")
    return StandInModels("ranker", LoadedVersions(str(base), labels={"stable": 3}))


def predict(models, name="ranker", version=None, label=None, signature="serving_default", **rest):
    inputs = rest.pop("inputs", {"state": [1.0, 2.0]})
    return models.predict(name, version, label, signature, inputs, **rest)


def test_the_highest_version_that_loads_answers_unless_a_label_says_otherwise(models):
    version, outputs = predict(models)
    assert version == 4
    np.testing.assert_array_equal(outputs["scores"], [2.0, 3.0])
    assert predict(models, label="stable")[0] == 3
    assert set(predict(models, output_filter=("scores",))[1]) == {"scores"}


def test_a_version_that_cannot_be_served_says_why(models):
    found = dict(models.status("ranker"))
    assert found[4] is None
    assert found[5]
    assert models.status("ranker", 5) == [(5, found[5])]
    assert models.status("ranker", label="stable") == [(3, None)]


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        ({"name": "other"}, grpc.StatusCode.NOT_FOUND, "'ranker' is"),
        ({"version": 9}, grpc.StatusCode.NOT_FOUND, "9"),
        ({"label": "canary"}, grpc.StatusCode.NOT_FOUND, "canary"),
        ({"signature": "two"}, grpc.StatusCode.INVALID_ARGUMENT, "there are: serving_default"),
        ({"inputs": {}}, grpc.StatusCode.INVALID_ARGUMENT, "takes state, not nothing"),
        ({"inputs": {"state": ["a"]}}, grpc.StatusCode.INVALID_ARGUMENT, ""),
        ({"output_filter": ("x",)}, grpc.StatusCode.INVALID_ARGUMENT, "no output x; it has scores"),
    ],
)
def test_a_refusal_has_a_status_of_each_protocol(models, request_, code, message):
    with pytest.raises(RefusedError, match=message) as caught:
        predict(models, **request_)
    assert caught.value.code == code
    assert caught.value.http_status == (404 if code == grpc.StatusCode.NOT_FOUND else 400)
