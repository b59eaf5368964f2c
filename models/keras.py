"""The one place that imports Keras.

TFX 1.16 and tensorflow-recommenders are written for Keras 2, which TensorFlow 2.16 ships as the
package ``tf_keras``; when they move to Keras 3, this is the line that changes.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

if tf.keras.layers.Layer is not keras.layers.Layer:
    raise ImportError(
        "TensorFlow was imported before MTFX could select Keras 2; "
        "set TF_USE_LEGACY_KERAS=1 in the environment"
    )

__all__ = ["keras"]
