"""State dicts of PyTorch: our backbones answer as PyTorch's networks did, and a file that does not fit says why.

`make_torch_golden.py` wrote what the source libraries answer; `torch_values.py` gives the same weights and images here.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from farkeras.errors import FarkerasError
from farkeras.models import inverted_residuals, torch_layers
from farkeras.models.backbones import _OWN, build_backbone
from farkeras.models.torch_weights import architecture_of, load_state_dict
from tests.models.torch_values import SIZES, contrast, difference, images, sample, value

# Keras compares the list of one input that the builder gives with the tensor that a caller passes.
pytestmark = pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match")

GOLDEN = np.load(Path(__file__).with_name("torch_golden.npz"))
# PyTorch's network -> (our backbone, its layers at stride 8 and before pooling).
NETWORKS = {
    "timm resnest50d": ("ResNeSt50", "stage2_block4_out", "stage4_block3_out"),
    "resnest resnest50": ("ResNeSt50", "stage2_block4_out", "stage4_block3_out"),
    "torchvision resnet50": ("TorchResNet50", "stage2_block4_out", "stage4_block3_out"),
    "torchvision mobilenet_v2": ("TorchMobileNetV2", "stage3_block3_add", "top_bn_relu6"),
    "torchvision mobilenet_v3_small": ("TorchMobileNetV3Small", "stage3_block1_add", "top_bn_hard_swish"),
    "torchvision mobilenet_v3_large": ("TorchMobileNetV3Large", "stage6_block1_add", "top_bn_hard_swish"),
    "torchvision efficientnet_b0": ("TorchEfficientNetB0", "stage3_block2_add", "top_bn_silu"),
    "efficientnet_lite_pytorch efficientnet-lite0": ("EfficientNetLite0", "stage3_block2_add", "top_bn_relu6"),
}


def state_of(network):
    shapes = [tuple(map(int, shape.split())) for shape in GOLDEN[f"{network} shapes"]]
    names = [str(name) for name in GOLDEN[f"{network} names"]]
    return {name: value(name, shape) if shape else np.array(7) for name, shape in zip(names, shapes, strict=True)}


def with_top(name, **options):
    """The backbone with its classifier, for images of any size."""
    builder, preprocess = _OWN[name]
    return builder(include_top=True, input_tensor=preprocess(keras.Input((None, None, 3))), **options)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_backbone_equals_pytorchs_network(network):
    name, *layers = NETWORKS[network]
    state, model = state_of(network), with_top(name)
    assert architecture_of(state) == name
    left_out = load_state_dict(model, name, state)
    assert {tensor.rsplit(".", 1)[1] for tensor in left_out} == {"num_batches_tracked"}
    inside = keras.Model(model.inputs, [model.output, *(model.get_layer(layer).output for layer in layers)])
    for height, width in SIZES:
        logits, early, last = (ops.convert_to_numpy(output) for output in inside(images((height, width))))
        received = {"logits": logits[:, :8], "early": sample(early), "last": sample(last)}
        for kind, values in received.items():
            expected = GOLDEN[f"{network} {height}x{width} {kind}"]
            assert contrast(expected) > 0.01  # images that look alike would show little
            assert difference(values, expected) < 1e-4, (kind, height, width)


LITE = "efficientnet_lite_pytorch efficientnet-lite0"


@pytest.fixture(scope="module")
def lite():
    return build_backbone("EfficientNetLite0", (32, 32))


def test_a_backbone_without_top_leaves_the_classifier_out(lite):
    state = state_of(LITE)
    state |= {"_fc.weight": value("_fc.weight", (3, 1280)), "_fc.bias": np.zeros(3)}  # of another number of classes
    left_out = load_state_dict(lite, "EfficientNetLite0", state)
    assert [tensor for tensor in left_out if not tensor.endswith("num_batches_tracked")] == ["_fc.weight", "_fc.bias"]
    np.testing.assert_array_equal(
        ops.convert_to_numpy(lite.get_layer("stage2_block1_depthwise_conv").kernel)[0, 2, 5, 0],
        state["_blocks.1._depthwise_conv.weight"][5, 0, 0, 2],
    )


def test_a_state_dict_without_classifier_and_counters_in_another_precision_and_order(lite):
    state = {name: array.astype("float16") for name, array in reversed(state_of(LITE).items()) if array.ndim}
    state = {name: array for name, array in state.items() if not name.startswith("_fc")}
    assert architecture_of(state) == "EfficientNetLite0"
    assert load_state_dict(lite, "EfficientNetLite0", state) == []
    np.testing.assert_array_equal(ops.convert_to_numpy(lite.get_layer("top_bn").gamma), state["_bn1.weight"])


def test_halves_of_a_grouped_convolution():
    state, backbone = state_of("timm resnest50d"), build_backbone("ResNeSt50", (32, 32))
    load_state_dict(backbone, "ResNeSt50", state)
    kernel = state["layer1.0.conv2.conv.weight"]
    assert kernel.shape == (128, 32, 3, 3)  # two groups: outputs 0..63 read channels 0..31, the others 32..63
    second = ops.convert_to_numpy(backbone.get_layer("stage1_block1_split2_conv").kernel)
    assert second[2, 1, 31, 7] == kernel[64 + 7, 31, 2, 1]
    second = ops.convert_to_numpy(backbone.get_layer("stage1_block1_split2_bn").moving_mean)
    np.testing.assert_array_equal(second, state["layer1.0.conv2.bn0.running_mean"][64:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state.pop("_blocks.0._bn1.bias"),
            r"look like those of efficientnet_lite_pytorch's efficientnet-lite0, but tensor '_blocks.0._bn1.bias' of "
            r"shape \(32,\) is missing. Received: 295 tensors. Save the whole network with torch.save",
        ),
        (
            lambda state: state.update({"_blocks.16._bn1.bias": np.zeros(5)}),
            r"but that network has no tensor '_blocks.16._bn1.bias'. Received one of shape \(5,\). Use a file with",
        ),
        (
            lambda state: state.update({"_conv_head.weight": np.zeros((640, 320, 1, 1))}),
            r"but tensor '_conv_head.weight' does not fit EfficientNetLite0: expected shape \(1280, 320, 1, 1\). "
            r"Received: \(640, 320, 1, 1\). Use weights of the same variant",
        ),
        (
            lambda state: state.update({"_bn1.running_var": np.full(1280, np.inf)}),
            "but tensor '_bn1.running_var' has values that are not finite in float32. Use weights of a finished",
        ),
    ],
)
def test_a_tensor_that_does_not_fit(lite, change, message):
    state = state_of(LITE)
    lite.get_layer("stem_bn").gamma.assign(np.full(32, 7.0))
    change(state)
    with pytest.raises(FarkerasError, match=message):
        load_state_dict(lite, "EfficientNetLite0", state)
    assert ops.convert_to_numpy(lite.get_layer("stem_bn").gamma)[0] == 7  # nothing is assigned


def test_weights_of_another_backbone(lite):
    with pytest.raises(
        FarkerasError,
        match=r"are those of torchvision's mobilenet_v2, which fit the backbone TorchMobileNetV2. Received: "
        "MobileNetV2. Set `backbone` to TorchMobileNetV2",
    ):
        load_state_dict(lite, "MobileNetV2", state_of("torchvision mobilenet_v2"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight", "fc.bias"],  # ResNet-18 has no third
            r"belong to no network that farkeras has. Expected: those of timm's resnest50d .* \(ResNeSt50\), "
            r"torchvision's resnet50 \(TorchResNet50\), .* or .*lite0 \(EfficientNetLite0\). Received: 'conv1.weight', "
            "'layer1.0.conv1.weight', 'layer1.0.conv2.weight' and 1 more. Use weights of one of these networks",
        ),
        ([], r"Received: no tensors\. Use"),
        (
            ["conv_stem.weight", "bn1.weight", "blocks.0.0.conv_dw.weight"],
            "named as in timm's MobileNets and EfficientNets, where networks with different padding and normalisation "
            "have the same names.* Use the weights of torchvision's mobilenet_v2",
        ),
        (
            ["_conv_stem.weight", "_blocks.0._depthwise_conv.weight", "_blocks.0._se_reduce.weight"],  # EfficientNet-B0
            "belong to no network that farkeras has",
        ),
    ],
)
def test_networks_that_farkeras_has_not(names, message):
    with pytest.raises(FarkerasError, match=message):
        architecture_of({name: np.zeros(1) for name in names})


def test_a_deeper_network_of_the_same_kind():
    state = state_of("torchvision resnet50") | {"layer3.6.conv1.weight": np.zeros((256, 1024, 1, 1))}  # of ResNet-101
    backbone = build_backbone("TorchResNet50", (32, 32))
    with pytest.raises(
        FarkerasError,
        match=r"those of torchvision's resnet50, but that network has no tensor 'layer3.6.conv1.weight'. Received",
    ):
        load_state_dict(backbone, "TorchResNet50", state)


def test_weights_of_another_width():
    with pytest.raises(
        FarkerasError, match=r"'features.0.0.weight' does not fit TorchMobileNetV2: expected shape \(16, 3, 3, 3\)"
    ):
        load_state_dict(
            build_backbone("TorchMobileNetV2", (32, 32), 0.5), "TorchMobileNetV2", state_of("torchvision mobilenet_v2")
        )


@pytest.mark.parametrize(
    ("name", "parameters"),
    [  # as torchvision's and timm's documents state them, for 1,000 classes
        ("TorchResNet50", 25_557_032),
        ("TorchMobileNetV2", 3_504_872),
        ("TorchMobileNetV3Small", 2_542_856),
        ("TorchMobileNetV3Large", 5_483_032),
        ("TorchEfficientNetB0", 5_288_548),
        ("EfficientNetLite0", 4_652_008),
    ],
)
def test_published_parameters(name, parameters):
    model = with_top(name)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == parameters
    assert model.output_shape == (None, 1000)


def test_widths():
    # torchvision's mobilenet_v2(width_mult=0.5) has 16 channels after the stem, and still 1280 at the end.
    model = build_backbone("TorchMobileNetV2", (32, 32), 0.5)
    widths = [model.get_layer("stem_conv").filters]
    widths += [model.get_layer(f"stage{stage}_block1_project_conv").filters for stage in range(1, 8)]
    assert widths == [16, 8, 16, 16, 32, 48, 80, 160]
    assert model.output_shape == (None, 1, 1, 1280)
    # A multiple of 8 that takes off at most a tenth.
    assert [inverted_residuals._channels(width) for width in (3, 12, 18, 19, 20, 44)] == [8, 16, 24, 24, 24, 48]


@pytest.mark.parametrize("builder", [builder for name, (builder, _) in _OWN.items() if name != "ResNetTiny"])
def test_there_are_no_weights_to_download(builder):
    with pytest.raises(ValueError, match=f"{builder.__name__} has no published Keras weights; .* Received: imagenet"):
        builder(weights="imagenet", input_tensor=keras.Input((32, 32, 3)))


def test_padding():
    # A 3x3 kernel of ones with stride 2 on ones counts the pixels that it covers: the corner shows the padding.
    def corners(padding):
        inputs = keras.Input((4, 4, 1))
        x = torch_layers.convolution(inputs, 1, 3, 2, "conv", "bn", activation=None, padding=padding, epsilon=0.0)
        model = keras.Model(inputs, x)
        model.get_layer("conv").kernel.assign(np.ones((3, 3, 1, 1)))
        return ops.convert_to_numpy(model(np.ones((1, 4, 4, 1))))[0, :, :, 0].tolist()

    assert corners("symmetric") == [[4, 6], [6, 9]]
    assert corners("same") == [[9, 6], [6, 4]]
