"""Every public layer goes through `run_layer_test`; a layer that is missing here fails the suite.

tests/test_jax.py runs this file on JAX, and `make test-torch` on PyTorch.
"""

import keras
import numpy as np
import pytest

import farkeras.layers
from farkeras.layers import AML, CGFF, G2FF, WSGSA, CrossStitch, PrivateChannels
from farkeras.testing import run_layer_test

pytestmark = pytest.mark.core


def strided_block():
    """A block with other channels and half the resolution, as in a MobileNet."""
    inputs = keras.Input((4, 4, 8))
    outputs = keras.layers.Conv2D(12, 3, strides=2, padding="same", name="conv")(inputs)
    return keras.Model(inputs, keras.layers.BatchNormalization(name="norm")(outputs), name="f")


def numbers(*shape):
    """In 0..1, as masks are; images are 255 times that."""
    return np.random.default_rng(0).uniform(size=shape).astype("float32")


CASES = {
    "WSGSA, own block": {
        "layer_class": WSGSA,
        "init_kwargs": {"num_groups": 3, "reduction": 2},
        "input_shape": (2, 4, 4, 8),
        "expected_output_shape": (2, 3, 8),
        "expected_num_trainable_weights": 4
        + 3 * 3,  # gates; three convolutions without bias, each with scale and shift
        "expected_num_non_trainable_weights": 3 * 2,
    },
    "WSGSA, given block": {
        "layer_class": WSGSA,
        "init_kwargs": lambda: {"num_groups": 2, "reduction": 2, "block": strided_block()},
        "input_shape": (2, 4, 4, 8),
        "expected_output_shape": (2, 2, 12),
        "expected_num_trainable_weights": 4 + 2 + 2,
        "expected_num_non_trainable_weights": 2,
    },
    "WSGSA, gates from the output": {
        "layer_class": WSGSA,
        "init_kwargs": lambda: {"num_groups": 2, "reduction": 2, "block": strided_block(), "gate": "sigmoid_output"},
        "input_shape": (2, 4, 4, 8),
        "expected_output_shape": (2, 2, 12),
        "expected_num_trainable_weights": 4 + 2 + 2,
        "expected_num_non_trainable_weights": 2,
    },
    "WSGSA, residual gates": {
        "layer_class": WSGSA,
        "init_kwargs": {"num_groups": 3, "reduction": 2, "gate": "residual_tanh"},
        "input_shape": (2, 4, 4, 8),
        "expected_output_shape": (2, 3, 8),
        "expected_num_trainable_weights": 4 + 3 * 3,
        "expected_num_non_trainable_weights": 3 * 2,
    },
    "WSGSA, standardized gates": {
        "layer_class": WSGSA,
        "init_kwargs": {"num_groups": 3, "reduction": 2, "gate": "standardized"},
        "input_shape": (2, 4, 4, 8),
        "expected_output_shape": (2, 3, 8),
        "expected_num_trainable_weights": 4 + 3 * 3,
        "expected_num_non_trainable_weights": 3 * 2 + 2,
    },
    "WSGSA, maps": {
        "layer_class": WSGSA,
        "init_kwargs": lambda: {"num_groups": 2, "reduction": 2, "block": strided_block()},
        "input_shape": (2, 4, 4, 8),
        "call_kwargs": {"return_maps": True},
        "expected_output_shape": ((2, 2, 12), (2, 2, 2, 2, 12)),
        "expected_num_trainable_weights": 4 + 2 + 2,
        "expected_num_non_trainable_weights": 2,
    },
    "CGFF": {
        "layer_class": CGFF,
        "init_kwargs": {"reduction": 2},
        "input_shape": (2, 3, 8),
        "expected_output_shape": (2, 3, 8),
        "expected_num_trainable_weights": 3,
        "expected_num_non_trainable_weights": 0,
    },
    "CGFF, standardized": {
        "layer_class": CGFF,
        "init_kwargs": {"reduction": 2, "standardize": True},
        "input_shape": (2, 3, 8),
        "expected_output_shape": (2, 3, 8),
        "expected_num_trainable_weights": 3,
        "expected_num_non_trainable_weights": 2,
    },
    "CGFF, fusion": {
        "layer_class": CGFF,
        "init_kwargs": {"reduction": 2},
        "input_shape": (2, 3, 8),
        "call_kwargs": {"return_fusion": True},
        "expected_output_shape": ((2, 3, 8), (2, 3, 3)),
        "expected_num_trainable_weights": 3,
        "expected_num_non_trainable_weights": 0,
    },
    "cross-stitch": {
        "layer_class": CrossStitch,
        "init_kwargs": {"own": 0.8},
        "input_shape": (2, 3, 8),
        "expected_output_shape": (2, 3, 8),
        "expected_num_trainable_weights": 1,
        "expected_num_non_trainable_weights": 0,
    },
    "cross-stitch, fusion": {
        "layer_class": CrossStitch,
        "init_kwargs": {},
        "input_shape": (2, 3, 8),
        "call_kwargs": {"return_fusion": True},
        "expected_output_shape": ((2, 3, 8), (2, 3, 3)),
        "expected_num_trainable_weights": 1,
        "expected_num_non_trainable_weights": 0,
    },
    "private channels": {
        "layer_class": PrivateChannels,
        "init_kwargs": {"num_groups": 3, "channels": 6, "heads": 2},
        "input_shape": (2, 4, 3, 8),
        "expected_output_shape": (2, 3, 6),
        "expected_num_trainable_weights": 1 + 2 + 2,
        "expected_num_non_trainable_weights": 2,
    },
    "AML": {
        "layer_class": AML,
        "init_kwargs": {"num_masks": 3, "widths": [4, 6, 8]},
        "input_data": 255 * numbers(2, 9, 7, 3),
        "expected_output_shape": (2, 9, 7, 3),
        # Two convolutions a level and one in each of two decoders, each with scale and shift, the decoders' 1x1, heads.
        "expected_num_trainable_weights": (3 * 2 + 2) * 3 + 2 * 2 + 2,
        "expected_num_non_trainable_weights": (3 * 2 + 2) * 2,
    },
    "AML, coarser masks": {
        "layer_class": AML,
        "init_kwargs": {"num_masks": 2, "widths": [4, 6, 8], "output_stride": 2},
        "input_data": 255 * numbers(2, 9, 7, 3),
        "expected_output_shape": (2, 5, 4, 2),
        "expected_num_trainable_weights": (1 + 1 + 2 + 1) * 3 + 2 + 2,
        "expected_num_non_trainable_weights": (1 + 1 + 2 + 1) * 2,
    },
    "G2FF": {
        "layer_class": G2FF,
        "init_kwargs": {"width": 6},
        "input_data": ([numbers(2, 4, 3, 5), numbers(2, 2, 2, 7)], numbers(2, 8, 6, 3)),
        "expected_output_shape": (2, 3, 6),
        "expected_num_trainable_weights": 3 * 2,
        "expected_num_non_trainable_weights": 0,
    },
    **{
        f"G2FF, {fusion}": {
            "layer_class": G2FF,
            "init_kwargs": {"width": 6, "global_fusion": fusion},
            "input_data": ([numbers(2, 4, 3, 5), numbers(2, 2, 2, 7)], numbers(2, 8, 6, 3)),
            "expected_output_shape": (2, 3, width),
            "expected_num_trainable_weights": weights,
            "expected_num_non_trainable_weights": 0,
        }
        for fusion, width, weights in (("off", 6, 2), ("concatenated", 12, 4), ("global_only", 6, 2))
    },
}


@pytest.mark.parametrize("name", CASES)
def test_layer_conforms(name):
    run_layer_test(**CASES[name])


def test_no_public_layer_is_missing():
    missing = set(farkeras.layers.__all__) - {case["layer_class"].__name__ for case in CASES.values()}
    assert not missing, f"add to CASES: {missing}"
