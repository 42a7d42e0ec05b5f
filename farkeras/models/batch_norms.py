"""Momentum of batch normalisation that suits the length of the training."""

import keras


def batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Returns all batch normalisation layers of a model, including those inside other layers."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]


def suit_batch_norms(model: keras.Model, steps: int, momentum: float = 0.0) -> None:
    """Lowers the momentum of batch normalisation for a short training; call it before the model is traced.

    Backbones have momentums of up to 0.9997, which suit runs of millions of steps. In a short run, the moving
    statistics would stay close to their initial values, and a trained model would predict like an untrained one. This
    function lowers each momentum until the initial values weigh at most 1 % after a tenth of the run. It sets no
    momentum below 0.9, because the mean of fewer than ten batches is too noisy.

    `farkeras.train` calls this function itself. For your own training, call it before `fit`.

    Args:
        model: The model.
        steps: Number of training steps.
        momentum: Momentum for all layers instead of the computed one; 0 means computed.
    """
    highest = max(0.9, 0.01 ** (10 / max(1, steps)))
    for layer in batch_norms(model):
        layer.momentum = momentum or min(layer.momentum, highest)
