"""From a file of PyTorch to a backbone: by `convert_state_dict`, by `convert_weights`, and by `backbone_weights`."""

import json
import re

import keras
import numpy as np
import pytest

import farkeras
from farkeras import convert_weights
from farkeras.attributes import load_grouping
from farkeras.cli.run import call
from farkeras.errors import FarkerasError
from farkeras.flagfiles import published
from farkeras.models.backbones import build_backbone
from farkeras.training.building import build_model
from tests.models.torch_writer import network_file, safetensors_file, state_of
from tests.training.small_run import GROUPING, small_config

NETWORK = "torchvision mobilenet_v3_small"
SIZE = (32, 32)
STEM = "features.0.0.weight"  # (16, 3, 3, 3) in PyTorch


@pytest.fixture(scope="module")
def state():
    return state_of(NETWORK)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return network_file(tmp_path_factory.mktemp("source") / "mobilenet_v3_small.pth", NETWORK)


@pytest.fixture(scope="module")
def converted(source):
    """The path of the converted file, and what the function says."""
    output = source.with_name("converted.keras")
    return output, farkeras.convert_state_dict(source, output)


def kernel(model):
    return keras.ops.convert_to_numpy(model.get_layer("stem_conv").kernel)


def test_the_network_is_recognised_and_each_tensor_accounted_for(converted, state):
    _, done = converted
    assert done.backbone == "TorchMobileNetV3Small"
    assert done.used + len(done.left_out) == len(state)
    others = [name for name in done.left_out if not name.endswith(".num_batches_tracked")]
    assert others == ["classifier.0.weight", "classifier.0.bias", "classifier.3.weight", "classifier.3.bias"]


def test_the_written_file_is_a_backbone_for_images_of_any_size(converted, state):
    output, done = converted
    model = keras.saving.load_model(output)
    np.testing.assert_array_equal(kernel(model), state[STEM].transpose(2, 3, 1, 0))
    built = build_backbone(done.backbone, SIZE, weights=str(output))
    for received, expected in zip(built.weights, model.weights, strict=True):
        np.testing.assert_array_equal(received, expected)


def test_a_setting_converts_on_the_way_in(source, state):
    """`backbone_weights=FILE.pth` needs no other step."""
    config = small_config("", backbone="TorchMobileNetV3Small", backbone_alpha=1.0, backbone_weights=str(source))
    trunk = build_model(config, load_grouping(GROUPING)).get_layer("trunk")
    np.testing.assert_array_equal(kernel(trunk), state[STEM].transpose(2, 3, 1, 0))
    variance = trunk.get_layer("stage4_block1_expand_bn").moving_variance
    np.testing.assert_array_equal(variance, state["features.4.block.0.1.running_var"])


def test_the_message_for_another_backbone_names_the_right_one(source, tmp_path):
    expected = (
        rf"^{re.escape(str(source))}: The weights are those of torchvision's mobilenet_v3_small, which fit the "
        r"backbone TorchMobileNetV3Small\. Received: MobileNetV3Small\."
    )
    with pytest.raises(FarkerasError, match=expected):
        build_backbone("MobileNetV3Small", SIZE, weights=str(source))
    with pytest.raises(FarkerasError, match=r"does not fit TorchMobileNetV3Small: expected shape .* variant and width"):
        farkeras.convert_state_dict(source, tmp_path / "name.keras", backbone_alpha=0.5)
    with pytest.raises(FarkerasError, match="Unknown backbone 'ResNet51'"):
        farkeras.convert_state_dict(source, tmp_path / "name.keras", "ResNet51")
    assert not list(tmp_path.iterdir())


def test_a_network_that_farkeras_lacks(tmp_path):
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    path = safetensors_file(tmp_path / "a.safetensors", {"x": entry}, b"\0\0\0\0")
    with pytest.raises(
        FarkerasError, match=rf"^{re.escape(str(path))}: The tensors belong to no network that farkeras"
    ):
        farkeras.convert_state_dict(path, tmp_path / "name.keras")


def test_a_file_that_cannot_be_used_is_an_error_of_the_setting(tmp_path):
    with pytest.raises(FarkerasError, match=r"Cannot read .*missing\.pth \(No such file or directory\)"):
        build_backbone("TorchMobileNetV3Small", SIZE, weights=str(tmp_path / "missing.pth"))
    (tmp_path / "empty.PT").touch()
    with pytest.raises(FarkerasError, match=r"empty\.PT must be a file of PyTorch .* Received: an empty file"):
        build_backbone("TorchMobileNetV3Small", SIZE, weights=str(tmp_path / "empty.PT"))


def test_outputs_that_cannot_be_written(source, tmp_path, file_size_limit):
    with pytest.raises(FarkerasError, match=r"`output` must be the name of a \.keras file\. Received: .*name\.h5"):
        farkeras.convert_state_dict(source, tmp_path / "name.h5")
    file_size_limit(100_000)
    with pytest.raises(FarkerasError, match=r"Cannot write .*name\.keras \(File too large\)"):
        farkeras.convert_state_dict(source, tmp_path / "name.keras")
    assert not list(tmp_path.iterdir())


def run(*arguments):
    return call(convert_weights.define, convert_weights.main, ["convert_weights", *map(str, arguments)])


def test_the_command_says_what_it_used_and_left_out(source, tmp_path, capsys):
    assert run(source, f"--output={tmp_path / 'name.keras'}") == 0
    assert capsys.readouterr().out == (
        f"{tmp_path / 'name.keras'}: TorchMobileNetV3Small, 206 tensors; left out: the classifier "
        "(classifier.0.weight, classifier.0.bias, classifier.3.weight and 1 more) and 34 counters of batch "
        "normalisation\n"
    )


def test_command_lines_that_are_wrong(source, tmp_path, capsys):
    assert run(f"--output={tmp_path / 'name.keras'}") == 1
    assert "No file of weights given: python -m farkeras.convert_weights SOURCE --output" in capsys.readouterr().err
    assert run(source, source, f"--output={tmp_path / 'name.keras'}") == 1
    assert "Expected one file of weights. Received: " in capsys.readouterr().err
    assert run(source, f"--output={tmp_path / 'name.pth'}") == 1
    assert "--output must be the name of a .keras file" in capsys.readouterr().err
    assert run(source, f"--output={tmp_path / 'name.keras'}", "--part=ema") == 1
    assert "has no weights under --part=ema. Found: the file itself." in capsys.readouterr().err


def test_a_published_run_does_not_show_the_folder(source):
    """Exports and pages show only the last part of the path, as for every setting that names a file."""
    config = small_config("", backbone_weights=str(source))
    shown = published(config.to_dict())
    assert shown["backbone_weights"] == "mobilenet_v3_small.pth"
    assert str(source.parent) not in json.dumps(shown)
