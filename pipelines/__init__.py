"""The TFX pipelines, their configuration, the runners and the command line."""

import mtfx.datasets as _datasets  # noqa: F401  (selects Keras 2 before TensorFlow is imported)
