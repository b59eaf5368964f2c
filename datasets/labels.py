"""Unknown labels: how they are written, and how they are distinguished from known ones.

A label is unknown where the log has none: nobody rated, or the feedback was not asked for. Between
the log's files and the session examples it is null. In examples it is :data:`UNKNOWN`, because a
list of a ``tf.Example`` has no place for a null, and:

- no label of any task can be it: binary ones are 0 or 1, those of regressions not negative;
- it is the same for integers and floats, survives TFDV, Transform, the flattening of sessions and
  TFMA, which each know NaN in a way of their own or not at all (an ``int64`` list has none);
- code that forgets to mask it fails: a metric that is asked about -1 raises, a square root of it
  is NaN. A 0 with a mask in a second column would pass for a label wherever the mask is forgotten;
- TFDV's histograms and drift comparators show how many there are.
"""

from __future__ import annotations

import numpy as np

#: Stands for an unknown label in examples and in arrays of labels.
UNKNOWN = -1


def is_known(labels: np.ndarray) -> np.ndarray:
    """Where labels, of any shape, are known: bool, of their shape.

    Only exactly :data:`UNKNOWN` is unknown, so that another impossible label still is an error.
    """
    return np.asarray(labels) != UNKNOWN
