"""MTFX: from a recommender's interaction logs to a served ranking model.

Everything is imported as ``mtfx.FOLDER``. What is below runs before TensorFlow, Gym and
scikit-learn are imported: TFX, TF-Agents and tensorflow-recommenders are written for Keras 2, which
newer TensorFlow hides behind this switch.
"""

import contextlib
import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
# scikit-learn's threads else wait for each other in a loop: where others use the machine too, 250
# rounds of boosted trees took 26 to 61 seconds in place of 3 to 5 (measured).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
with contextlib.suppress(ImportError):
    # Gym, which TF-Agents imports, prints that it is unmaintained, once in every process; a user
    # of MTFX cannot act on it.
    from gym_notices.notices import notices as _notices

    _notices.clear()
