"""What a log means and how it is read: the lowest layer, which every other one imports.

The line below therefore runs before TensorFlow is imported anywhere: TFX 1.16, TF-Agents and
tensorflow-recommenders are written for Keras 2, which TensorFlow 2.16 hides behind this switch.
"""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
