"""The run functions of the TFX Trainer, and what they are made of."""
