"""The Keras objects on the JAX backend, in processes of their own: a process has one Keras backend.

`make test-torch` runs the same files on PyTorch, in an environment without TensorFlow.
"""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import farkeras
from farkeras.losses import MaskedBinaryCrossentropy
from farkeras.models import FARAMTN, MGMTN
from farkeras.optimizers import AdamW
from tests.small_backbone import residual_backbone

pytest.importorskip("jax", reason="jax is not installed: the layers are not tried on a second Keras backend")
REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(farkeras.__file__)))
OUTPUTS = """
import sys
import keras, numpy as np
assert keras.backend.backend() == "jax"
import farkeras.models
assert "tensorflow" not in sys.modules, "the models load TensorFlow"
for folder in sys.argv[1:]:
    model = keras.saving.load_model(folder + "/model.keras")
    assert set(model.optimizer.multipliers) == {0.1, 1.0}
    outputs = model(np.load(folder + "/images.npy"))
    np.savez(folder + "/outputs.npz", **{name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()})
"""


def run_on_jax(*arguments):
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # most of the time goes into compiling
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def far_amtn():
    model = FARAMTN("mgmtn8", backbone=residual_backbone(), reduction=4)
    model.get_layer("cgff").gamma.assign(0.5)
    return model


def mgmtn():
    return MGMTN("mcnn9", backbone=residual_backbone(), mask_widths=(8, 8, 16), mask_stride=2)


def test_models_saved_by_tensorflow_give_the_same_outputs(tmp_path):
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).uniform(0, 255, (3, 48, 40, 3)).astype("float32")
    expected = {}
    for make in (far_amtn, mgmtn):
        folder = tmp_path / make.__name__
        folder.mkdir()
        model = make()
        model.compile(AdamW(1e-3, model.backbone_multipliers(0.1)), MaskedBinaryCrossentropy())
        model.save(folder / "model.keras")
        np.save(folder / "images.npy", images)
        expected[folder] = model(images)
    run_on_jax("-c", OUTPUTS, *map(str, expected))
    for folder, outputs in expected.items():
        assert np.ptp(outputs["logits"]) > 0.1
        with np.load(folder / "outputs.npz") as received:
            assert set(received) == set(outputs)
            for name, values in received.items():
                np.testing.assert_allclose(values, outputs[name], atol=1e-4, err_msg=f"{folder.name}, {name}")


def test_layers_losses_metrics_optimizers_and_fit():
    files = (
        "tests/layers/test_conformance.py",
        "tests/test_keras_objects.py",
        "tests/test_optimizers.py",
        "tests/models/test_multi_task.py",
        "tests/models/test_fused_batch_norms.py",
    )
    output = run_on_jax("-m", "pytest", *files, "-p", "no:cacheprovider", "--no-header")
    assert "passed" in output
