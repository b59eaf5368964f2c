"""The command line, one file for each command. None imports TensorFlow or TFX before it must."""
