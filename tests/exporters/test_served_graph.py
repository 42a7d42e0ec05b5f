"""What the model server cannot run is refused before it is published."""

import numpy as np
import pytest
import tensorflow as tf

from farkeras.errors import FarkerasError
from farkeras.exporters.served_graph import check_servable


def saved(function, folder, **options):
    module = tf.Module()
    module.serve = tf.function(function, [tf.TensorSpec([None], tf.float32)], **options)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return folder


def test_core_operations_pass_in_functions_too(tmp_path):
    def loop(x):
        return {"y": tf.map_fn(lambda v: tf.cond(v > 0, lambda: tf.sqrt(v), lambda: v), x)}

    check_servable(saved(loop, tmp_path))


@pytest.mark.parametrize("call", [tf.py_function, tf.numpy_function])
def test_python_inside(tmp_path, call):
    def inner(v):
        return tf.ensure_shape(call(np.sin, [v], tf.float32), [])

    folder = saved(lambda x: {"y": tf.map_fn(inner, x)}, tmp_path)
    with pytest.raises(FarkerasError, match=r"The model server cannot run \w*PyFunc\w* \('.*map.*'\): it calls Python"):
        check_servable(folder)


def test_xla(tmp_path):
    folder = saved(lambda x: {"y": tf.function(tf.sin, jit_compile=True)(x)}, tmp_path)
    with pytest.raises(
        FarkerasError, match="it is compiled by XLA, which the server does not have; set jit_compile=False"
    ):
        check_servable(folder)


def test_operations_of_other_libraries(tmp_path):
    folder = saved(lambda x: {"y": tf.sin(x)}, tmp_path)
    file = folder / "saved_model.pb"
    file.write_bytes(file.read_bytes().replace(b"\x12\x03Sin", b"\x12\x03Own"))
    with pytest.raises(FarkerasError, match=r"cannot run Own \('.*'\): it is not one of TensorFlow's core operations"):
        check_servable(folder)
