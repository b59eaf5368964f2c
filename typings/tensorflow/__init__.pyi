"""TensorFlow for the type checker: any name, of any type.

The published stubs describe Keras 3 and a part of TensorFlow; they report what is right as wrong.
"""

from typing import Any

def __getattr__(name: str) -> Any: ...
