"""Experiments of xMTF."""
