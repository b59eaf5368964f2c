"""SavedModels for TensorFlow Serving, and how they are read again."""
