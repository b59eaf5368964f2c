"""TFX components: from raw logs to examples; thin executors over ``datasets``."""
