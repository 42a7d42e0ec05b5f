"""Test helpers for the layers, losses and metrics of farkeras and of its users."""

from farkeras.testing.layers import run_layer_test
from farkeras.testing.losses_and_metrics import run_loss_test, run_metric_test

__all__ = ["run_layer_test", "run_loss_test", "run_metric_test"]
