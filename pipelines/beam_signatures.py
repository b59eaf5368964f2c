"""Cache of function signatures: Beam computes each once.

While it builds and runs a pipeline, Beam looks through the methods of every ``DoFn`` for state and
timers, about thirty methods, a dozen times (``get_dofn_specs``, Beam 2.74 and 2.77): over 80,000
calls of ``inspect.signature`` for one small TensorFlow Transform, a quarter of its CPU seconds.
Beam has no switch for it, so that its function is wrapped here.
"""

from __future__ import annotations

import contextlib
import inspect
import types
import weakref
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from apache_beam.transforms import core
from apache_beam.typehints import decorators

_Signatures = MutableMapping[Callable[..., Any], inspect.Signature]


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """Within it, signatures that Beam has looked at are remembered while their functions live.

    A signature follows from its function, whichever object a method is bound to. Whatever is
    neither a plain function nor a method of one is looked at anew, as Beam does.
    """
    look_up = decorators.get_signature
    plain: _Signatures = weakref.WeakKeyDictionary()
    bound: _Signatures = weakref.WeakKeyDictionary()

    def get_signature(func: Any) -> inspect.Signature:
        method = isinstance(func, types.MethodType)
        key = func.__func__ if method else func
        if not isinstance(key, types.FunctionType):
            return look_up(func)
        known = bound if method else plain
        signature = known.get(key)
        if signature is None:
            signature = known[key] = look_up(func)
        return signature

    modules: tuple[Any, ...] = (decorators, core)
    for module in modules:
        module.get_signature = get_signature
    try:
        yield
    finally:
        for module in modules:
            module.get_signature = look_up
