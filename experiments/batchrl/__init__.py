"""Experiments of BatchRL-MTF, and of the estimators."""
