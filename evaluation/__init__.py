"""Metrics, evaluation configuration and the report of a run."""

import mtfx.datasets as _datasets  # noqa: F401  (selects Keras 2 before TensorFlow is imported)
