"""The commands of ``mtfx``, one file each. None imports TensorFlow or TFX before it must."""
