"""Helpers for tests, of this package and of its users' own layers."""

from farkeras.testing.layers import run_layer_test

__all__ = ["run_layer_test"]
