"""The run functions of the TFX Trainer, and what they are made of."""

import mtfx.datasets as _datasets  # noqa: F401  (selects Keras 2 before TensorFlow is imported)
