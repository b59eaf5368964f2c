"""Histories of some sessions, read from session examples."""

import tensorflow as tf

from mtfx.datasets.logs.logged_histories import read_histories

SPEC = {
    "session_id": tf.io.FixedLenFeature([1], tf.string),
    "timestamp_ms": tf.io.RaggedFeature(tf.int64),
    "history_timestamp_ms": tf.io.RaggedFeature(tf.int64),
    "history_town": tf.io.RaggedFeature(tf.string),
    "history_watch_share": tf.io.RaggedFeature(tf.float32),
}


class Output:
    def __init__(self, spec):
        self._spec = spec

    def raw_feature_spec(self):
        return dict(self._spec)


def write(path, sessions):
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for session, times in sessions:
            example = tf.train.Example()
            features = example.features.feature
            features["session_id"].bytes_list.value.append(session.encode())
            features["timestamp_ms"].int64_list.value.extend([9, 10])
            features["history_timestamp_ms"].int64_list.value.extend(times)
            features["history_town"].bytes_list.value.extend([b"Rom"] * len(times))
            features["history_watch_share"].float_list.value.extend([0.5] * len(times))
            writer.write(example.SerializeToString())


def test_the_sessions_asked_for_are_found_in_any_file(tmp_path):
    write(tmp_path / "a.gz", [("s1", [1, 2]), ("s2", [])])
    write(tmp_path / "b.gz", [("s3", [7])])
    found = read_histories(str(tmp_path / "*.gz"), Output(SPEC), {"s1", "s2", "s9"})
    assert found == {
        "s1": {
            "history_timestamp_ms": [1, 2],
            "history_town": [b"Rom", b"Rom"],
            "history_watch_share": [0.5, 0.5],
        },
        "s2": {"history_timestamp_ms": [], "history_town": [], "history_watch_share": []},
    }


def test_a_log_without_histories_has_none(tmp_path):
    write(tmp_path / "a.gz", [("s1", [1])])
    bare = {name: SPEC[name] for name in ("session_id", "timestamp_ms")}
    assert read_histories(str(tmp_path / "*.gz"), Output(bare), {"s1"}) == {}
    assert read_histories(str(tmp_path / "*.gz"), Output(SPEC), set()) == {}
