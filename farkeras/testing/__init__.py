"""Helpers for tests, of this package and of its users' own layers, losses and metrics."""

from farkeras.testing.layers import run_layer_test
from farkeras.testing.losses_and_metrics import run_loss_test, run_metric_test

__all__ = ["run_layer_test", "run_loss_test", "run_metric_test"]
