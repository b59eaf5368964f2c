"""The stand-in's gRPC, asked as TF Serving is."""

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.request_examples import candidates

REQUEST = candidates(2)


@pytest.fixture(scope="module")
def stubs(served):
    with grpc.insecure_channel(served.target) as channel:
        yield (
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )


def request(**inputs):
    message = predict_pb2.PredictRequest()
    message.model_spec.name = "ranker"
    for name, value in inputs.items():
        message.inputs[name].CopyFrom(value)
    return message


def good():
    return {"request": tf.make_tensor_proto(REQUEST)}


def code(call, message):
    with pytest.raises(grpc.RpcError) as raised:
        call(message, timeout=30.0)
    return raised.value.code()


def test_an_output_filter_is_heeded(stubs):
    message = request(**good())
    message.output_filter.append("scores")
    assert set(stubs[0].Predict(message, timeout=30.0).outputs) == {"scores"}
    message.output_filter.append("none such")
    assert code(stubs[0].Predict, message) == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("dtype", [tf.float64, tf.float16, tf.int32])
def test_a_tensor_of_another_type_is_refused(stubs, dtype):
    message = request(request=tf.make_tensor_proto(1, dtype))
    assert code(stubs[0].Predict, message) == grpc.StatusCode.INVALID_ARGUMENT


def broken(change):
    proto = tf.make_tensor_proto(REQUEST)
    proto.tensor_shape.dim.add().size = 1
    change(proto)
    return proto


@pytest.mark.parametrize(
    "change",
    [
        lambda proto: setattr(proto, "dtype", 0),
        lambda proto: setattr(proto, "dtype", 99),
        lambda proto: setattr(proto, "tensor_content", b"123"),
        lambda proto: setattr(proto.tensor_shape.dim[0], "size", -1),
        lambda proto: setattr(proto.tensor_shape.dim[0], "size", 2**50),
        lambda proto: setattr(proto.tensor_shape, "unknown_rank", True),
    ],
)
def test_a_tensor_that_is_none_is_refused(stubs, change):
    message = request(request=broken(change))
    assert code(stubs[0].Predict, message) == grpc.StatusCode.INVALID_ARGUMENT


def test_status_and_metadata_are_of_the_model_that_was_named(stubs):
    predictions, models = stubs
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "ranker"
    answer = models.GetModelStatus(status, timeout=30.0)
    assert [one.version for one in answer.model_version_status] == [1, 2]
    status.model_spec.version.value = 2
    answer = models.GetModelStatus(status, timeout=30.0)
    assert [one.version for one in answer.model_version_status] == [2]
    status.model_spec.name = "another"
    assert code(models.GetModelStatus, status) == grpc.StatusCode.NOT_FOUND

    metadata = get_model_metadata_pb2.GetModelMetadataRequest()
    metadata.model_spec.name = "ranker"
    assert code(predictions.GetModelMetadata, metadata) == grpc.StatusCode.INVALID_ARGUMENT
    metadata.metadata_field.append("signature_def")
    answer = predictions.GetModelMetadata(metadata, timeout=30.0)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def["serving_default"].inputs) == {"request"}
    metadata.model_spec.version.value = 7
    assert code(predictions.GetModelMetadata, metadata) == grpc.StatusCode.NOT_FOUND
