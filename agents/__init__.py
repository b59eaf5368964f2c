"""Agents of TF-Agents: loss functions and a training step each."""

import datasets as _datasets  # noqa: F401  (selects Keras 2 before TensorFlow is imported)
