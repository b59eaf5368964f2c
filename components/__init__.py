"""TFX components: from raw logs to examples; thin executors over ``datasets``."""

import datasets as _datasets  # noqa: F401  (selects Keras 2 before TensorFlow is imported)
