"""Keras models: state representation, multi-task backbones, the ranking model."""
