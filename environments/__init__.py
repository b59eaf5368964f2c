"""Batched environments of TF-Agents."""

import mtfx.datasets as _datasets  # noqa: F401  (selects Keras 2 before TensorFlow is imported)
