"""Prints the parameters and multiply-adds of each preset, which farkeras/models/presets.py holds as numbers.

    python benchmarks/presets.py

TensorFlow's profiler counts two operations for a multiply-add. Keras's weights are random; no data is read.
"""

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from farkeras.models import MODELS
from farkeras.models.presets import PRESETS
from farkeras.studies.running import trainable_parameters


def multiply_adds(model: tf.keras.Model) -> int:
    """Counts the multiply-adds of a forward pass of one image."""
    height, width = model.image_size
    image = tf.TensorSpec([1, height, width, 3])
    graph = convert_variables_to_constants_v2(tf.function(model).get_concrete_function(image)).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops // 2


def main() -> None:
    for preset in PRESETS:
        model = MODELS[preset.config.model].from_preset(preset.name)
        cost = f"{trainable_parameters(model):,} parameters, {multiply_adds(model) / 1e6:,.0f} M multiply-adds"
        print(f"{preset.name}: {cost}")


if __name__ == "__main__":
    main()
