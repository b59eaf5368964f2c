"""Measurements of speed: run as ``python -m benchmarks.NAME``."""

import mtfx.datasets as _datasets
