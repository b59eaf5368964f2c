"""Noise that is a function of the state: what a policy that chooses among samples samples with.

A served policy must answer the same request in the same way: a retry must not reorder a list, two
replicas must agree, and an answer must follow from what was logged. So what BCQ samples actions
with (``mtfx.agents.bcq_policy``) comes from a hash of the state. It differs between states as if
drawn anew, and is the same in every call, process and batch, whatever the state's place there.

A policy of another training meets the same noise in the same state. So two policies that are
compared on the same requests differ by what they learnt, and not by the luck of their samples
(common random numbers).
"""

from __future__ import annotations

import tensorflow as tf

from mtfx.models import splitmix
from mtfx.models.splitmix import uint64

#: A state is rounded to multiples of this before it is hashed: a CPU and a GPU, which sum in other
#: orders, give states that differ in the last digits. A number that lies within those digits of the
#: middle between two multiples may still be rounded apart: about one in a thousand where they
#: differ by 1e-6. On one kind of device nothing differs.
RESOLUTION = 2.0**-10
#: What is beyond is hashed as this is: a conversion to int64 that overflows depends on the machine.
_LARGEST = 2.0**52


def state_keys(states: tf.Tensor) -> tf.Tensor:
    """A hash of each state.

    Args:
      states: float32 `[batch, state]`, finite.

    Returns:
      uint64 `[batch]`. States that round to the same numbers have the same; 0 and -0 are equal.
    """
    scaled = tf.clip_by_value(tf.round(states / RESOLUTION), -_LARGEST, _LARGEST)
    words = tf.cast(tf.cast(scaled, tf.int64), tf.uint64)
    # Each word with its place, so that a state and its permutation differ.
    places = tf.cast(tf.range(1, tf.shape(states)[1] + 1), tf.uint64) * uint64(splitmix.GOLDEN)
    return splitmix.mix(tf.reduce_sum(splitmix.mix(splitmix.mix(words) + places), axis=1))


def state_normals(states: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Independent standard normal numbers for each state, a function of it alone.

    Args:
      states: float32 `[batch, state]`, finite.
      shape: Of the numbers of one state.

    Returns:
      float32 `[batch, *shape]`, within about 5.5 of 0.
    """
    columns = 1
    for size in shape:
        columns *= size
    # The quantile function's last digit depends on a number's place among those of a SIMD register.
    uniform = tf.cast(splitmix.uniforms(state_keys(states), columns), tf.float64)
    return tf.cast(tf.reshape(splitmix.normals(uniform), [-1, *shape]), tf.float32)
