"""Backbones of keras.applications and a user's own, and where they are cut."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from farkeras.errors import FarkerasError
from farkeras.models import backbones
from farkeras.models.backbones import backbone_names, build_backbone, feature_maps, split_at_last_block

# Keras compares the list of one input that keras.applications gives with the tensor that a caller passes.
pytestmark = pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match")
SIZE = (64, 48)


def images(size=SIZE):
    return np.random.default_rng(0).uniform(0, 255, (2, *size, 3)).astype("float32")


@functools.cache
def built(name, alpha=1.0):
    """Built once for the tests that only read it."""
    return build_backbone(name, SIZE, alpha)


def test_all_families_are_known_by_class_name():
    assert {"ResNet50", "ResNet50V2", "MobileNetV3Small", "EfficientNetV2B0", "ConvNeXtTiny"} <= set(backbone_names())


@pytest.mark.parametrize(
    ("name", "alpha", "last_of_trunk", "first_of_block"),
    [
        ("ResNet50", 1.0, "conv5_block2_out", "conv5_block3_1_conv"),  # the last residual block, as in the paper
        ("ResNeSt50", 1.0, "stage4_block2_out", "stage4_block3_conv1"),  # the last split-attention block
        ("ResNetTiny", 0.5, "stage5_down_relu", "stage5_1_conv"),
        ("MobileNet", 0.25, "conv_dw_13_relu", "conv_pw_13"),
        ("MobileNetV2", 0.35, "block_16_project_BN", "Conv_1"),
        ("MobileNetV3Small", 1.0, "expanded_conv_10_add", "conv_1"),
        ("EfficientNetB0", 1.0, "block7a_project_bn", "top_conv"),
        ("DenseNet121", 1.0, "conv5_block15_concat", "conv5_block16_0_bn"),
        ("VGG16", 1.0, "block5_conv2", "block5_conv3"),
        ("TorchResNet50", 1.0, "stage4_block2_out", "stage4_block3_conv1"),
        ("TorchMobileNetV2", 0.35, "stage7_block1_project_bn", "top_conv"),
        ("TorchMobileNetV3Small", 1.0, "stage11_block1_add", "top_conv"),
        ("TorchMobileNetV3Large", 1.0, "stage15_block1_add", "top_conv"),
        ("TorchEfficientNetB0", 1.0, "stage7_block1_project_bn", "top_conv"),
        ("EfficientNetLite0", 1.0, "stage7_block1_project_bn", "top_conv"),
    ],
)
def test_where_a_backbone_is_cut(name, alpha, last_of_trunk, first_of_block):
    backbone = built(name, alpha)
    trunk, block = split_at_last_block(backbone)
    assert trunk.output._keras_history.operation.name.startswith(last_of_trunk)
    assert block.layers[1].name == first_of_block
    assert backbone.count_params() == trunk.count_params() + block.count_params()
    x = images()
    whole, in_two = backbone(x), block(trunk(x))
    np.testing.assert_allclose(ops.convert_to_numpy(in_two), ops.convert_to_numpy(whole), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "alpha", "maps"),
    [
        ("ResNet50", 1.0, [("conv3_block4_out", 512), ("conv4_block6_out", 1024), ("conv5_block3_out", 2048)]),
        ("ResNeSt50", 1.0, [("stage2_block4_out", 512), ("stage3_block6_out", 1024), ("stage4_block3_out", 2048)]),
        ("ResNetTiny", 0.5, [("stage3_out", 32), ("stage4_out", 64), ("stage5_out", 128)]),
        ("MobileNetV2", 0.35, [("block_6_expand_relu", 96), ("block_13_expand_relu", 192), ("out_relu", 1280)]),
        ("MobileNetV3Small", 1.0, [("activation", 96), ("activation", 288), ("activation", 576)]),
        (
            "EfficientNetB0",
            1.0,
            [("block4a_expand_activation", 240), ("block6a_expand_activation", 672), ("top_activation", 1280)],
        ),
        ("DenseNet121", 1.0, [("pool3_conv", 256), ("pool4_conv", 512), ("relu", 1024)]),
        ("ConvNeXtTiny", 1.0, [("add", 192), ("add", 384), ("layer_normalization", 768)]),
        ("VGG16", 1.0, [("block4_conv3", 512), ("block5_conv3", 512), ("block5_pool", 512)]),
        ("TorchResNet50", 1.0, [("stage2_block4_out", 512), ("stage3_block6_out", 1024), ("stage4_block3_out", 2048)]),
        (
            "TorchMobileNetV2",
            0.35,
            [("stage4_block1_expand_bn", 96), ("stage6_block1_expand_bn", 192), ("top_bn_relu6", 1280)],
        ),
        (
            "TorchMobileNetV3Small",
            1.0,
            [("stage4_block1_expand_bn", 96), ("stage9_block1_expand_bn", 288), ("top_bn_hard_swish", 576)],
        ),
        (
            "TorchMobileNetV3Large",
            1.0,
            [("stage7_block1_expand_bn", 240), ("stage13_block1_expand_bn", 672), ("top_bn_hard_swish", 960)],
        ),
        (
            "TorchEfficientNetB0",
            1.0,
            [("stage4_block1_expand_bn", 240), ("stage6_block1_expand_bn", 672), ("top_bn_silu", 1280)],
        ),
        (
            "EfficientNetLite0",
            1.0,
            [("stage4_block1_expand_bn", 240), ("stage6_block1_expand_bn", 672), ("top_bn_relu6", 1280)],
        ),
    ],
)
def test_which_feature_maps_are_picked(name, alpha, maps):
    backbone = built(name, alpha)
    model = feature_maps(backbone)
    for tensor, (operation, channels) in zip(model.outputs, maps, strict=True):
        assert tensor._keras_history.operation.name.startswith(operation)  # Keras numbers the layers without a name
        assert tensor.shape[-1] == channels
    assert model.outputs[-1] is backbone.outputs[0]
    assert [tensor.shape[1:3] for tensor in model.outputs[:2]] == [(8, 6), (4, 3)]


@pytest.mark.parametrize(
    ("name", "size", "sizes"),
    [
        ("ResNeSt50", (227, 227), [(29, 29), (15, 15), (8, 8)]),
        ("ResNeSt50", (112, 96), [(14, 12), (7, 6), (4, 3)]),
        ("ResNetTiny", (227, 227), [(29, 29), (15, 15), (8, 8)]),
        ("ResNetTiny", (112, 96), [(14, 12), (7, 6), (4, 3)]),
        ("TorchMobileNetV2", (227, 227), [(29, 29), (15, 15), (8, 8)]),
        ("EfficientNetLite0", (112, 96), [(14, 12), (7, 6), (4, 3)]),
        ("InceptionV3", (227, 227), [(26, 26), (12, 12), (5, 5)]),  # convolutions without padding
        ("InceptionV3", (112, 96), [(11, 9), (5, 4), (2, 1)]),
    ],
)
def test_sizes_of_the_feature_maps(name, size, sizes):
    assert [tensor.shape[1:3] for tensor in feature_maps(build_backbone(name, size)).outputs] == sizes


def test_feature_maps_share_the_backbones_layers():
    backbone = built("ResNetTiny", 0.5)
    model = feature_maps(backbone, strides=(32, 4))  # in the order asked for
    last, early = model(images())
    assert early.shape == (2, 16, 12, 16)
    np.testing.assert_array_equal(ops.convert_to_numpy(last), ops.convert_to_numpy(backbone(images())))
    assert model.count_params() == backbone.count_params()


def test_a_stride_without_a_feature_map():
    inputs = keras.Input((64, 48, 3))
    x = keras.layers.Conv2D(4, 3, 2, padding="same")(inputs)
    patches = keras.Model(inputs, keras.layers.Conv2D(4, 8, 8)(x), name="patches")
    with pytest.raises(FarkerasError) as caught:
        feature_maps(patches)
    assert "Backbone 'patches' has no feature map at stride 8 for images of 64x48 pixels" in str(caught.value)
    assert "found such tensors at strides 1, 2, 16. Use another backbone, such as ResNet50" in str(caught.value)


def test_feature_maps_of_images_of_any_size():
    inputs = keras.Input((None, None, 3))
    free = keras.Model(inputs, keras.layers.Conv2D(4, 3, 8)(inputs), name="free")
    with pytest.raises(FarkerasError, match=r"'free' takes images of any size .* Build it for a fixed height"):
        feature_maps(free)


def test_resnet50_has_the_papers_parameters():
    backbone = built("ResNet50")
    trunk, block = split_at_last_block(backbone)

    def trainable(model):
        return sum(int(np.prod(w.shape)) for w in model.trainable_weights)

    assert trainable(backbone) == 23_534_592
    assert trainable(block) == 4_465_664
    assert trainable(trunk) == 23_534_592 - 4_465_664


@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNetV3Small"])
def test_weights_file_of_keras_applications_gives_its_numbers(name, tmp_path):
    # What the error message for an offline machine tells a user to do.
    original = getattr(keras.applications, name)((*SIZE, 3), include_top=False, weights=None)
    original.save_weights(tmp_path / "name.weights.h5")
    loaded = build_backbone(name, SIZE, weights=str(tmp_path / "name.weights.h5"))
    # MobileNetV3 holds its normalisation itself, MobileNetV2 expects normalised images.
    expected = original(images() / 127.5 - 1 if name == "MobileNetV2" else images())
    np.testing.assert_allclose(ops.convert_to_numpy(loaded(images())), ops.convert_to_numpy(expected), atol=1e-5)


@pytest.mark.parametrize(("name", "include_top"), [("MobileNetV3Small", False), ("EfficientNetB0", True)])
def test_keras_file_of_keras_applications_gives_its_numbers(name, include_top, tmp_path):
    # These two hold their normalisation themselves. A top, if any, is left out.
    original = getattr(keras.applications, name)(
        input_shape=(*SIZE, 3), include_top=include_top, weights=None, classes=5
    )
    original.save(tmp_path / "name.keras")
    loaded = build_backbone(name, SIZE, weights=str(tmp_path / "name.keras"))
    last = next(layer for layer in reversed(original.layers) if layer.output.shape[1:] == loaded.output_shape[1:])
    expected = keras.Model(original.inputs, last.output)(images())
    np.testing.assert_allclose(ops.convert_to_numpy(loaded(images())), ops.convert_to_numpy(expected), atol=1e-5)


def test_keras_file_of_our_own_backbone(tmp_path):
    original = built("ResNetTiny", 0.5)
    original.save(tmp_path / "name.keras")
    loaded = build_backbone("ResNetTiny", SIZE, 0.5, weights=str(tmp_path / "name.keras"))
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(images())), ops.convert_to_numpy(original(images())))


@pytest.mark.parametrize("content", [None, b"not a zip archive"])
def test_unreadable_keras_file(content, tmp_path):
    path = tmp_path / "name.keras"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        FarkerasError, match=r"Backbone weights '.*name.keras' cannot be loaded into ResNetTiny: .+ Expected"
    ):
        build_backbone("ResNetTiny", SIZE, 0.5, str(path))


def test_keras_file_of_another_width_and_of_another_architecture(tmp_path):
    built("ResNetTiny", 0.5).save(tmp_path / "name.keras")
    with pytest.raises(
        FarkerasError, match=r"'stage1_down_conv/kernel' has shape \(3, 3, 3, 16\), but .* in the file has \(3, "
    ):
        build_backbone("ResNetTiny", SIZE, 1.0, str(tmp_path / "name.keras"))
    with pytest.raises(
        FarkerasError, match=r"The model in the file has 55 weights, not 260. Expected .* save\('name.keras'\)"
    ):
        build_backbone("MobileNetV2", SIZE, 0.35, str(tmp_path / "name.keras"))


@pytest.mark.parametrize(
    ("name", "preprocess"),
    [
        ("VGG16", lambda x: x[..., ::-1] - [103.939, 116.779, 123.68]),  # BGR less the mean
        ("MobileNet", lambda x: x / 127.5 - 1),
        ("DenseNet121", lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("TorchMobileNetV2", lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("EfficientNetLite0", lambda x: (x - 127) / 128),
    ],
)
def test_a_backbone_begins_with_its_familys_normalisation(name, preprocess):
    backbone = built(name, {"MobileNet": 0.25, "TorchMobileNetV2": 0.35}.get(name, 1.0))
    # The input of the first operation with weights, be it a convolution or what pads for it.
    first = next(layer for layer in backbone.layers if layer.weights or "Padding" in type(layer).__name__)
    normalised = keras.Model(backbone.inputs, first.input)(images())
    np.testing.assert_allclose(ops.convert_to_numpy(normalised), preprocess(images()), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("alpha", "channels"), [(1.0, 256), (0.5, 128), (0.01, 8)])
def test_resnet_tiny(alpha, channels):
    assert build_backbone("ResNetTiny", (96, 64), alpha).output_shape == (None, 3, 2, channels)


@pytest.mark.parametrize("name", ["ResNeSt50", "ResNetTiny", "TorchMobileNetV2"])
def test_our_own_have_no_imagenet_weights(name):
    expected = rf"no ImageNet weights of {name} to download. Set `backbone_weights` to none, or to a file with weights "
    with pytest.raises(FarkerasError, match=expected):
        build_backbone(name, SIZE, weights="imagenet")


def test_unknown_name_lists_what_is_known():
    with pytest.raises(FarkerasError, match=r"Unknown backbone 'ResNet51'. Known: .*MobileNetV3Small, .*ResNet50, "):
        build_backbone("ResNet51", SIZE)


def test_width_of_a_family_without_one():
    with pytest.raises(
        FarkerasError, match=r"ResNet50 has no width multiplier. Set `backbone_alpha` to 1. Received: 0.5"
    ):
        build_backbone("ResNet50", SIZE, alpha=0.5)


@pytest.mark.parametrize("weights", ["none", "imagenet"])  # the size is at fault, not the network
def test_too_small_for_the_architecture(weights):
    with pytest.raises(FarkerasError, match=r"Backbone InceptionV3 cannot be built for 32 x 32 pixels: .+"):
        build_backbone("InceptionV3", (32, 32), weights=weights)


@pytest.mark.parametrize("content", [None, b"", b"not HDF5"])
def test_unreadable_weights_file(content, tmp_path):
    path = tmp_path / "name.weights.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        FarkerasError, match=r"Backbone weights '.*name.weights.h5' cannot be loaded into MobileNetV2: .+ Expected"
    ):
        build_backbone("MobileNetV2", SIZE, 0.35, str(path))


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_of_another_architecture(tmp_path):
    keras.applications.MobileNet((*SIZE, 3), alpha=0.25, include_top=False, weights=None).save_weights(
        tmp_path / "name.weights.h5"
    )
    with pytest.raises(FarkerasError, match="cannot be loaded into MobileNetV2"):
        build_backbone("MobileNetV2", SIZE, 0.35, str(tmp_path / "name.weights.h5"))


def test_no_network_for_imagenet_weights(monkeypatch):
    def offline(**options):
        if options["weights"] is None:
            return keras.applications.MobileNetV2(**options)
        raise Exception("URL fetch failure on https://storage: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr(backbones, "_applications", lambda: {"ResNet50": (offline, lambda x: x)})
    with pytest.raises(FarkerasError) as caught:
        build_backbone("ResNet50", SIZE, weights="imagenet")
    assert "could not be loaded (URL fetch failure" in str(caught.value)
    assert (
        "`backbone_weights` to none, or to a .weights.h5 or .keras file saved from keras.applications.ResNet50"
        in str(caught.value)
    )


def test_backbone_that_is_not_functional():
    with pytest.raises(FarkerasError, match="must be a functional Keras model"):
        split_at_last_block(keras.layers.Dense(2))
    with pytest.raises(FarkerasError, match="must be a functional Keras model"):
        feature_maps(keras.layers.Dense(2))


def test_backbone_without_a_place_to_cut():
    inputs = keras.Input((8, 8, 3))
    with pytest.raises(FarkerasError, match="'flat' cannot be cut before its last block"):
        split_at_last_block(keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs), name="flat"))


def test_backbone_that_uses_a_layer_twice():
    inputs, again = keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 3, padding="same")
    twice = keras.Model(inputs, keras.layers.ReLU()(again(again(inputs))), name="twice")
    with pytest.raises(FarkerasError, match=r"'twice' .* a layer is used more than once"):
        split_at_last_block(twice)
