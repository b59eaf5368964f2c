"""A split that Transform did not write is written as Transform would have."""

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
from tfx_bsl.public import tfxio

from mtfx.components.preprocessing import preprocessing_fn
from mtfx.components.session_example_gen.encoding import encode_sessions, write_examples
from mtfx.components.session_schema import build_schema
from mtfx.datasets.logs.transformed import split_files, write_transformed
from tests.beam_runners import local_pipeline
from tests.planted_log import SPEC, split_sessions

CONFIG = {"dataset": "tests.planted_log:SPEC", "tasks": [task.name for task in SPEC.tasks]}


@pytest.fixture(scope="module")
def transformed(tmp_path_factory):
    """(raw files, Transform's output, the examples that Transform wrote of them)."""
    directory = tmp_path_factory.mktemp("transformed")
    raw = []
    for split, frame in split_sessions(150).items():
        raw.append(str(directory / f"{split}.gz"))
        write_examples(encode_sessions(frame, SPEC), raw[-1], raw[-1] + ".part")
    records = list(tf.data.TFRecordDataset(raw, "GZIP").as_numpy_iterator())
    reader = tfxio.TFExampleBeamRecord(physical_format="tfrecord", schema=build_schema(SPEC))
    with local_pipeline() as pipeline, tft_beam.Context(temp_dir=str(directory / "tmp")):
        source = pipeline | beam.Create(records, reshuffle=False) | reader.BeamSource()
        dataset, function = (
            source,
            reader.TensorAdapterConfig(),
        ) | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: preprocessing_fn(inputs, CONFIG), output_record_batches=True
        )
        _ = (
            dataset
            | tft_beam.EncodeTransformedDataset()
            | beam.io.WriteToTFRecord(str(directory / "written"), file_name_suffix=".gz")
        )
        _ = function | tft_beam.WriteTransformFn(str(directory / "function"))
    # The component keeps the raw schema beside the graph.
    metadata = dataset_metadata.DatasetMetadata(build_schema(SPEC))
    metadata_io.write_metadata(metadata, str(directory / "function" / "metadata"))
    output = tft.TFTransformOutput(str(directory / "function"))
    files = tf.io.gfile.glob(str(directory / "written*"))
    return (
        raw,
        output,
        tf.data.TFRecordDataset(files, "GZIP"),
    )


def columns(dataset, output):
    batch = next(iter(dataset.batch(10_000)))
    parsed = tf.io.parse_example(batch, output.transformed_feature_spec())
    return {
        name: value.to_list() if isinstance(value, tf.RaggedTensor) else value.numpy().tolist()
        for name, value in parsed.items()
    }


def test_every_column_is_transforms(transformed, tmp_path, monkeypatch):
    raw, output, written = transformed
    monkeypatch.setattr("mtfx.datasets.logs.transformed._SESSIONS", 64)
    path = tmp_path / "again.gz"
    number = write_transformed(raw, output, path)
    found = columns(tf.data.TFRecordDataset(str(path), "GZIP"), output)
    wanted = columns(written, output)
    assert set(found) == set(wanted) == {f.name for f in SPEC.features} | set(CONFIG["tasks"])
    assert number == len(found["user_id"])
    # Beam promises no order; and vectorised logarithms differ from others in the last digit.
    ids = sorted(f.name for f in SPEC.features if f.kind != "numeric")
    for table in (found, wanted):
        places = sorted(range(number), key=lambda row: repr([table[n][row] for n in ids]))
        table.update({name: [values[row] for row in places] for name, values in table.items()})
    for name in found:
        one, other = (np.concatenate(table[name]) for table in (found, wanted))
        np.testing.assert_allclose(one, other, rtol=1e-4, err_msg=name)


def test_the_order_is_that_of_the_files(transformed, tmp_path):
    raw, output, _ = transformed
    path = tmp_path / "one.gz"
    write_transformed(raw, output, path)
    task = CONFIG["tasks"][0]
    found = columns(tf.data.TFRecordDataset(str(path), "GZIP"), output)[task]
    parsed = tf.io.parse_example(
        list(tf.data.TFRecordDataset(raw, "GZIP").as_numpy_iterator()), output.raw_feature_spec()
    )
    np.testing.assert_array_equal(np.concatenate(found), parsed[task].flat_values.numpy())


def test_the_files_of_a_split_come_in_order_and_none_is_an_error(tmp_path):
    for name in ("b.gz", "a.gz"):
        path = tmp_path / "[1]" / "Split-test" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = split_files(str(tmp_path / "[1]"), "test")
    assert [path.rpartition("/")[2] for path in found] == ["a.gz", "b.gz"]
    with pytest.raises(ValueError, match=r"no session file matches .*Split-eval"):
        split_files(str(tmp_path), "eval")


def test_no_session_is_refused(transformed, tmp_path):
    _, output, _ = transformed
    empty = str(tmp_path / "empty.gz")
    write_examples([], empty, empty + ".part")
    with pytest.raises(ValueError, match=r"no session in .*empty\.gz"):
        write_transformed([empty], output, tmp_path / "out.gz")
