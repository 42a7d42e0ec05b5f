"""Weights of mask networks: taken from models and files, refused where they do not fit, and shipped."""

import shutil

import keras
import numpy as np
import pytest

from farkeras.errors import FarkerasError
from farkeras.layers import AML
from farkeras.models import MGMTN, load_mask_weights, mask_weights
from farkeras.models.mask_weights import save_mask_network, shipped_mask_weights, start_of_masks
from farkeras.models.model_file import save
from tests.small_backbone import residual_backbone

SHIPPED = {"widths": (8, 16, 24, 32, 64), "output_stride": 2}


def network(size=32, num_masks=8, widths=(4, 8), output_stride=2):
    """A mask network whose weights, batch normalisation included, are random, as after a training."""
    layer = AML(num_masks, widths, output_stride, name="aml")
    layer(keras.Input((size, size, 3)))
    random = np.random.default_rng(size)
    layer.set_weights([random.uniform(0.5, 2, weight.shape) for weight in layer.weights])
    return layer


def assert_equal(network, weights):
    for weight, value in zip(network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A saved MGMTN, and the weights of its mask network."""
    model = MGMTN(["Hat"], residual_backbone(), mask_widths=(4, 8), mask_stride=2, fusion_width=8)
    model.mask_network.set_weights(network().get_weights())
    path = tmp_path_factory.mktemp("run") / "model.keras"
    save(model, path)
    return path, model.mask_network.get_weights()


def test_from_a_model_or_its_folder_bit_for_bit_whatever_the_image_size(model_file):
    path, weights = model_file
    for source, size in ((path, 32), (path.parent, 48)):
        target = network(size)
        load_mask_weights(target, source)
        assert_equal(target, weights)


def test_a_file_of_its_own_holds_the_weights_in_float16(tmp_path):
    written = network()
    save_mask_network(written, (32, 32), tmp_path / "masks.keras")
    target = network(64)
    load_mask_weights(target, tmp_path / "masks.keras")
    assert_equal(target, [weight.astype(np.float16).astype(np.float32) for weight in written.get_weights()])
    assert {weight.dtype for weight in target.weights} == {"float32"}


def test_a_file_has_to_end_in_keras_and_its_weights_to_fit_float16(tmp_path):
    with pytest.raises(FarkerasError, match=r"`output` must be a file name that ends in \.keras\. Received: masks\.h5"):
        save_mask_network(network(), (32, 32), "masks.h5")
    large = network()
    large.set_weights([weight * 1e5 for weight in large.get_weights()])
    with pytest.raises(FarkerasError, match=r"aml.*' is too large for float16\. Train with a lower `learning_rate`"):
        save_mask_network(large, (32, 32), tmp_path / "masks.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": (4, 9)}, "has `mask_widths=4,8` and `mask_stride=2`; expected `mask_widths=4,9` and `mask_s"),
        ({"output_stride": 1}, "`mask_stride=2`; expected `mask_widths=4,8` and `mask_stride=1`. Change these"),
        ({"num_masks": 3}, "expected 3 masks, `mask_widths=4,8`"),
    ],
)
def test_a_network_of_another_architecture(model_file, changes, message):
    target = network(**changes)
    before = target.get_weights()
    with pytest.raises(FarkerasError, match=message):
        load_mask_weights(target, model_file[0])
    assert_equal(target, before)


def test_files_without_masks(tmp_path):
    path = tmp_path / "other.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)], name="other").save(path)
    with pytest.raises(FarkerasError, match=r"has no mask network: expected a model .*=mgmtn`.*the model 'other'"):
        load_mask_weights(network(), path)
    path.write_text("not a zip file")
    with pytest.raises(FarkerasError, match=r"The model in .*other\.keras cannot be loaded"):
        load_mask_weights(network(), path)
    with pytest.raises(FarkerasError, match=r"holds no model\.keras: expected the `workdir` of a training run"):
        load_mask_weights(network(), tmp_path)
    with pytest.raises(FarkerasError, match=r"No model at nowhere\.keras in .*: expected a training run's workdir"):
        load_mask_weights(network(), "nowhere.keras")


def test_a_truncated_file(model_file, tmp_path):
    broken = tmp_path / "broken.keras"
    shutil.copy(model_file[0], broken)
    broken.write_bytes(broken.read_bytes()[:-1000])
    with pytest.raises(FarkerasError, match="cannot be loaded"):
        load_mask_weights(network(), broken)


def test_an_architecture_that_is_not_shipped():
    message = (
        "ships no mask weights for `mask_widths=4,8` and `mask_stride=2`; it ships some for "
        "`mask_widths=8,16,24,32,64` and `mask_stride=2`"
    )
    with pytest.raises(FarkerasError, match=message):
        load_mask_weights(network(), "shipped")


def test_what_auto_means():
    shipped, other = network(**SHIPPED), network()
    few, many = mask_weights.FEW_IMAGES - 1, mask_weights.FEW_IMAGES
    assert start_of_masks("auto", shipped, few) == "shipped"
    assert start_of_masks("auto", shipped, many) == "none"
    assert start_of_masks("auto", other, few) == "none"
    assert start_of_masks("none", shipped, few) == "none"
    assert start_of_masks("shipped", shipped, many) == "shipped"
    assert start_of_masks("runs/other", shipped, many) == "runs/other"


def test_the_shipped_files_are_small_and_named_by_their_architecture():
    files = list(mask_weights._SHIPPED.glob("*.keras"))
    assert sum(file.stat().st_size for file in files) < 1.5e6
    for file in files:
        (layer,) = (layer for layer in keras.saving.load_model(file).layers if isinstance(layer, AML))
        assert shipped_mask_weights(layer) == file
        assert {weight.dtype for weight in layer.weights} == {"float16"}
