"""Keras, which is imported here only, and the seeds and initial values of its weights.

TFX 1.16 and tensorflow-recommenders are written for Keras 2, which TensorFlow 2.16 ships as the
package ``tf_keras``; when they move to Keras 3, this is the line that changes.
"""

from __future__ import annotations

import math
import zlib

import tensorflow as tf
import tf_keras as keras

if tf.keras.layers.Layer is not keras.layers.Layer:
    raise ImportError(
        "TensorFlow was imported before MTFX could select Keras 2; "
        "set TF_USE_LEGACY_KERAS=1 in the environment"
    )

__all__ = ["glorot_uniform", "keras", "seed_for"]


def seed_for(seed: int, name: str) -> int:
    """The seed of one variable: a function of the model's seed and the variable's name.

    Each variable then starts the same whatever else the model holds or in which order it is built.
    Below 2^30, so that adding a layer's number stays an int32.
    """
    return zlib.crc32(f"{seed}/{name}".encode()) & 0x3FFFFFFF


def glorot_uniform(fan_in: int, fan_out: int, seed: int) -> keras.initializers.Initializer:
    """Uniform in ±sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Keras infers the fans from a variable's shape, which is wrong for kernels stacked as
    `[expert, input, output]`: it would take the number of experts for a receptive field.
    """
    limit = math.sqrt(6.0 / (fan_in + fan_out))
    return keras.initializers.RandomUniform(-limit, limit, seed=seed)
