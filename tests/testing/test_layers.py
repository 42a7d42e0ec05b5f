"""`run_layer_test` passes a sound layer and names what is wrong with an unsound one."""

import keras
import numpy as np
import pytest

from farkeras.testing import run_layer_test


@keras.saving.register_keras_serializable(package="farkeras_tests")
class Scale(keras.layers.Layer):
    """Sound: multiplies each channel by a weight."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.scale = self.add_weight(shape=input_shape[-1:], initializer=keras.initializers.Constant(self.start))

    def call(self, inputs):
        return inputs * self.scale

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "start": self.start}


class ForgetsAnArgument(Scale):
    def get_config(self):
        return {**super().get_config(), "start": 1.0}


class NamesNoArgument(Scale):
    def get_config(self):
        return keras.layers.Layer.get_config(self)


class NotRegistered(Scale):
    pass


@keras.saving.register_keras_serializable(package="farkeras_tests")
class WrongShape(Scale):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)


@keras.saving.register_keras_serializable(package="farkeras_tests")
class UnusedWeight(Scale):
    def build(self, input_shape):
        super().build(input_shape)
        self.unused = self.add_weight(shape=(1,), name="unused")


@keras.saving.register_keras_serializable(package="farkeras_tests")
class AlwaysFloat32(Scale):
    def call(self, inputs):
        return keras.ops.cast(inputs, "float32") * keras.ops.cast(self.scale, "float32")


def check(layer_class, **changes):
    arguments = {
        "init_kwargs": {"start": 2.0},
        "input_shape": (2, 3),
        "expected_output_shape": (2, 3),
        "expected_num_trainable_weights": 1,
        "expected_num_non_trainable_weights": 0,
    }
    run_layer_test(layer_class, **{**arguments, **changes})


def test_sound_layer():
    check(Scale)


def test_several_inputs_and_outputs():
    shapes = [(2, 3), (2, 5)]
    check(
        keras.layers.Concatenate,
        init_kwargs={"axis": -1},
        input_shape=shapes,
        expected_output_shape=(2, 8),
        expected_num_trainable_weights=0,
    )


@pytest.mark.parametrize(
    ("layer_class", "error"),
    [
        (ForgetsAnArgument, "'start' in the config: expected 2.0, received 1.0"),
        (NamesNoArgument, r"keys of the config: expected \['start'\], received \[\]"),
        (WrongShape, "shape of the symbolic output"),
        (AlwaysFloat32, "dtype of the symbolic output|dtypes of the output under mixed_bfloat16"),
    ],
)
def test_unsound_layer(layer_class, error):
    with pytest.raises(AssertionError, match=error):
        check(layer_class)


def test_unregistered_layer():
    with pytest.raises(TypeError, match="Could not locate class 'NotRegistered'"):
        check(NotRegistered)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_weight_that_nothing_uses():
    with pytest.raises(AssertionError, match="unused moves in two training steps: expected True, received False"):
        check(UnusedWeight, expected_num_trainable_weights=2)


@pytest.mark.parametrize(
    "changes",
    [
        {"expected_num_trainable_weights": 2},
        {"expected_num_non_trainable_weights": 1},
        {"expected_output_shape": (2, 4)},
    ],
)
def test_unexpected(changes):
    with pytest.raises(AssertionError):
        check(Scale, **changes)


def test_given_data():
    check(Scale, input_shape=None, input_data=np.ones((2, 3), "float32"))


def test_one_kind_of_input_is_needed():
    with pytest.raises(ValueError, match="either `input_shape` or `input_data`"):
        check(Scale, input_shape=None)
