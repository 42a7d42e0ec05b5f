"""Two logical CPUs for the tests of replicas, set before TensorFlow starts; small data shared by all tests."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
import tensorflow as tf

(_cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(_cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="session")
def faces_dir(tmp_path_factory):
    """240 procedural faces in CelebA's layout."""
    from farkeras.data.faces.generate import Settings, generate

    folder = tmp_path_factory.mktemp("data") / "faces"
    generate(Settings(num_images=240, seed=1), folder, 2)
    return folder
