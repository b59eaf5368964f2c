"""Candidates of transitions in memory: padded, thinned out, and no more than there is room for."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.transitions.candidates import CandidateRows
from mtfx.datasets.transitions.codec import encode_transitions
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.datasets.transitions.table import load_transitions
from mtfx.errors import DataError
from tests.transition_batches import SPEC, random_batch

BATCHES = [random_batch(8, seed=seed) for seed in (0, 1)]


def by_request():
    return [
        part
        for batch in BATCHES
        for part in np.split(batch.predictions, np.cumsum(batch.candidate_count)[:-1])
    ]


def held(limit, order=None, **options):
    rows = CandidateRows(limit, **options)
    for batch in BATCHES:
        rows.add(batch)
    return rows.padded(np.arange(len(by_request())) if order is None else order)


def test_all_candidates_are_padded_in_the_order_that_is_asked_for():
    requests = by_request()
    order = np.random.default_rng(0).permutation(len(requests))[:11]
    predictions, mask = held(0, order)
    assert predictions.shape == (11, max(len(requests[i]) for i in order), 3)
    for row, request in enumerate(order):
        np.testing.assert_array_equal(mask[row].sum(), len(requests[request]))
        np.testing.assert_allclose(predictions[row][mask[row]], requests[request], rtol=1e-3)
    assert not predictions[~mask].any()


def test_of_too_many_candidates_a_random_part_is_kept():
    requests = by_request()
    predictions, mask = held(2)
    assert predictions.shape[1] == 2
    firsts = []
    for row, request in enumerate(requests):
        assert mask[row].sum() == min(2, len(request))
        places = [
            int(np.argmin(np.abs(request - kept).sum(axis=1)))
            for kept in predictions[row][mask[row]]
        ]
        np.testing.assert_allclose(request[places], predictions[row][mask[row]], rtol=1e-3)
        assert len(set(places)) == len(places)
        firsts += places if len(request) == 4 else []
    # Each of four places as likely as the others.
    assert len(firsts) > 10
    assert set(firsts) == {0, 1, 2, 3}
    np.testing.assert_array_equal(held(2)[0], predictions)


def test_what_was_shown_is_kept_whatever_else_is():
    rows = CandidateRows(1)
    for batch in BATCHES:
        rows.add(batch)
    requests = by_request()
    order = np.random.default_rng(0).permutation(len(requests))
    chosen = np.concatenate([batch.chosen for batch in BATCHES])
    wanted = np.stack([requests[i][chosen[i]] for i in order])
    np.testing.assert_allclose(rows.shown(order), wanted, rtol=1e-3)


def test_there_is_an_end_to_the_memory():
    with pytest.raises(DataError, match=r"buffer_size.*inner_candidates"):
        held(0, max_bytes=100)
    with pytest.raises(ValueError, match="got -1"):
        CandidateRows(-1)


def test_a_table_has_candidates_if_it_is_asked_for_them(tmp_path):
    batch = BATCHES[0]
    (tmp_path / "Split-train").mkdir()
    path = str(tmp_path / "Split-train" / "data.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for record in encode_transitions(batch, SPEC):
            writer.write(record)
    TransitionManifest(SPEC, {}, 0, 1).write(str(tmp_path))
    assert load_transitions(path).predictions is None
    assert load_transitions(path).shown is None
    table = load_transitions(path, candidates=0)
    np.testing.assert_array_equal(
        np.sum(table.mask, axis=1), batch.candidate_count[: table.num_transitions]
    )
    # Both are in order of session and step.
    requests = np.split(batch.predictions, np.cumsum(batch.candidate_count)[:-1])
    for row, request in enumerate(requests):
        found = table.predictions.numpy()[row][table.mask.numpy()[row]]
        np.testing.assert_allclose(found, request, rtol=1e-3)
