"""The TFX pipelines, their configuration and the runners."""
