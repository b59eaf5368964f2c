"""What a log means and how it is read: the lowest layer, which every other one imports.

What is below therefore runs before TensorFlow and Gym are imported: TFX 1.16, TF-Agents and
tensorflow-recommenders are written for Keras 2, which TensorFlow 2.16 hides behind this switch.
"""

import contextlib
import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
with contextlib.suppress(ImportError):
    # Gym, which TF-Agents imports, prints that it is unmaintained, once in every process; a user
    # of MTFX cannot act on it.
    from gym_notices.notices import notices as _notices

    _notices.clear()
