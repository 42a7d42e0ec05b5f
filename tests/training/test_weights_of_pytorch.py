"""A `.pth` file goes through `train`: the run starts from its weights, and later needs the file no more."""

import numpy as np

from farkeras.models.model_file import load_model
from farkeras.training.run import train_and_evaluate
from tests.models.torch_writer import network_file, state_of
from tests.training.small_run import small_config

NETWORK = "torchvision mobilenet_v3_small"


def test_a_run_from_a_pth_file(faces_dir, tmp_path):
    source = network_file(tmp_path / "mobilenet_v3_small.pth", NETWORK)
    config = small_config(
        faces_dir,
        model="shared_trunk",
        backbone="TorchMobileNetV3Small",
        backbone_alpha=1.0,
        backbone_weights=str(source),
        backbone_lr_multiplier=0.0,  # the backbone stays as it is
        epochs=0.0,
    )
    train_and_evaluate(config, tmp_path / "run")
    model, metadata = load_model(tmp_path / "run")
    layers = {layer.name: layer for layer in model._flatten_layers()}
    state = state_of(NETWORK)
    np.testing.assert_array_equal(layers["stem_conv"].kernel, state["features.0.0.weight"].transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(layers["top_bn"].moving_variance, state["features.12.1.running_var"])
    assert metadata.config["backbone_weights"] == str(source)
    source.unlink()
    train_and_evaluate(config, tmp_path / "run")  # the checkpoint holds all weights
