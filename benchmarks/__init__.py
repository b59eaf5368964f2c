"""Measurements of speed: run as ``python -m benchmarks.NAME``."""

import mtfx.datasets as _datasets  # noqa: F401  (selects Keras 2 before TensorFlow is imported)
