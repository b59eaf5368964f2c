"""The optimizer of the agents."""

from __future__ import annotations

from mtfx.models.keras import keras


def adam(learning_rate: float) -> keras.optimizers.legacy.Adam:
    """Adam, whose fused kernel updates a variable in one operation.

    Keras keeps a learning rate that is a number in a variable, and checkpoints with it: an agent
    that is restored would learn at the rate of the one that was saved, whatever its settings say.
    A function's value is no variable.

    Args:
      learning_rate: Of the settings.
    """
    return keras.optimizers.legacy.Adam(lambda: learning_rate)
