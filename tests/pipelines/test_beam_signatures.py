"""What Beam learns from signatures stays what inspect says, and is asked for once."""

import contextlib
import functools
import gc
import inspect
import weakref

import apache_beam as beam
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms import core, userstate
from apache_beam.typehints import decorators

from mtfx.pipelines import beam_signatures
from tests.beam_runners import local_pipeline

#: Beam's own: while tests run, signatures are remembered (tests/conftest.py).
AS_BEAM_DOES = decorators.get_signature
SEEN = beam.DoFn.StateParam(userstate.BagStateSpec("seen", VarIntCoder()))


class Numbered(beam.DoFn):
    """Keeps a key's values in state, and counts them."""

    def process(self, element, seen=SEEN):
        seen.add(element[1])
        yield element[0], len(list(seen.read()))


class Callable:
    def __call__(self, x, *, y=2):
        return x + y


def function(x: int, y: str = "a", *more, z=None) -> float:
    return float(x)


@functools.wraps(function)
def wrapper(*arguments, **named):
    return function(*arguments, **named)


@pytest.mark.parametrize(
    "asked",
    [
        function,
        wrapper,
        lambda x, y=3: x,
        Numbered().process,
        Numbered.process,
        Numbered.from_runner_api,
        Callable(),
        Callable,
        functools.partial(function, 1),
        str.strip,
        len,
    ],
)
def test_every_callable_has_the_signature_that_beam_would_see(asked):
    assert AS_BEAM_DOES.__module__ == decorators.__name__
    with beam_signatures.remembered():
        first, again = (decorators.get_signature(asked) for _ in range(2))
        method = Numbered().process
        assert core.get_function_args_defaults(method)[0] == ["element", "seen"]
    assert first == again == AS_BEAM_DOES(asked)


def test_a_function_is_inspected_once_however_it_is_bound(monkeypatch):
    class New(Numbered):
        def process(self, element, seen=SEEN):
            yield element

    asked = []

    def signature(func, _inspect=inspect.signature):
        asked.append(func)
        return _inspect(func)

    monkeypatch.setattr(inspect, "signature", signature)
    with beam_signatures.remembered():
        for _ in range(3):
            assert userstate.is_stateful_dofn(New())
        assert [func.__func__ for func in asked if inspect.ismethod(func)].count(New.process) == 1
        assert next(iter(decorators.get_signature(New.process).parameters)) == "self"


def test_state_is_kept_by_a_pipeline():
    with beam_signatures.remembered(), local_pipeline() as pipeline:
        counted = pipeline | beam.Create([("a", 1), ("a", 2), ("b", 3)]) | beam.ParDo(Numbered())
        assert_that(counted, equal_to([("a", 1), ("a", 2), ("b", 1)]))


def test_functions_are_not_kept_alive():
    def short_lived():
        pass

    with beam_signatures.remembered():
        decorators.get_signature(short_lived)
        reference = weakref.ref(short_lived)
        del short_lived
        gc.collect()
        assert reference() is None


def test_beam_is_left_as_it_was():
    before = decorators.get_signature
    failing = contextlib.ExitStack()
    failing.enter_context(beam_signatures.remembered())
    assert core.get_signature is decorators.get_signature is not before
    with pytest.raises(KeyError), failing:
        raise KeyError
    assert core.get_signature is decorators.get_signature is before
