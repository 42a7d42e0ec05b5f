"""A backbone small enough for tests on every Keras backend."""

import keras


def residual_backbone(size=(48, 40)):
    """Maps at strides 4 to 32, and a last residual block, from `(batch, *size, 3)` in 0..255."""
    inputs = keras.Input((*size, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(16, 3, strides=4, padding="same", activation="relu")(x)
    for _ in range(3):
        x = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(x)
    y = keras.layers.BatchNormalization()(keras.layers.Conv2D(16, 3, padding="same")(x))
    return keras.Model(inputs, keras.layers.ReLU()(keras.layers.Add()([x, y])), name="residual")
