"""Keras models: state representation, multi-task backbones, the ranking model."""

import mtfx.datasets as _datasets  # noqa: F401  (selects Keras 2 before TensorFlow is imported)
