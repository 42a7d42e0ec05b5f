"""Batch normalisation whose moving statistics suit the length of the training."""

import keras


def batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """All layers of batch normalisation in a model, those within other layers included."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]


def suit_batch_norms(model: keras.Model, steps: int, momentum: float = 0.0) -> None:
    """Sets how fast the moving statistics of batch normalisation follow; call before the model is traced.

    Backbones have momentums of up to 0.9997, made for runs of millions of steps. In a short run the first values of the
    statistics would stay, and a model that has learned would still answer like one that has not. So they weigh at most
    1 % after a tenth of the run; a momentum that is low enough for this stays. None is set below 0.9, for the mean of
    fewer than ten batches is too noisy.

    `farkeras.train` does this by itself; for `fit` call it before.

    Args:
        model: The model.
        steps: Number of steps that it is trained.
        momentum: The momentum to set instead; 0 for none.
    """
    highest = max(0.9, 0.01 ** (10 / max(1, steps)))
    for layer in batch_norms(model):
        layer.momentum = momentum or min(layer.momentum, highest)
