"""The weights of mask networks: taken from another model's file, written to a file of their own, and shipped."""

import os
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from farkeras.attributes import REGIONS
from farkeras.errors import FarkerasError
from farkeras.files import as_path, writing, written_aside
from farkeras.layers import AML
from farkeras.models.keras_files import load_keras_file, model_path

FEW_IMAGES = 2_000
"""A training split with fewer images starts from the shipped weights.

In `configs/demo_mgmtn.flags`, random masks reach an IoU of 0.86 after 600 steps, and 0.88 after 1,200. In its 14 epochs
in batches of 32, 2,000 images give 875 steps; fewer give masks that are poor for most of the training.
"""

_SHIPPED = Path(__file__).with_name("shipped_masks")


def shipped_mask_weights(network: AML) -> Path | None:
    """Returns the shipped file with weights of this architecture, or None if farkeras ships no such file.

    The architecture is `widths` and `output_stride`. The height and width of the images may differ, because the network
    is fully convolutional.
    """
    name = f"widths_{'_'.join(map(str, network.widths))}_stride_{network.output_stride}.keras"
    path = _SHIPPED / name
    return path if path.is_file() else None


def start_of_masks(setting: str, network: AML, num_images: int) -> str:
    """Returns what `mask_weights` means for a run: `none`, `shipped` or the path that it names.

    Args:
        setting: The setting `mask_weights`.
        network: The mask network of the run.
        num_images: Number of training images.
    """
    if setting != "auto":
        return setting
    return "shipped" if num_images < FEW_IMAGES and shipped_mask_weights(network) else "none"


def load_mask_weights(network: AML, source: str | os.PathLike) -> None:
    """Gives a mask network the weights of another one, with the statistics of its batch normalisation.

    On 500 procedural images, MGMTN gains 3.7 points of balanced accuracy with the shipped weights, the mean of three
    seeds (`python benchmarks/mask_start.py`).

    Args:
        network: The mask network, built. The scaling of its input is part of it, so the same images have the same
            masks in both networks if the image size is the same.
        source: The workdir of a run with masks, its `.keras` file, a file of `farkeras.train_mask_network`, or
            `shipped` for the file that farkeras ships for this architecture.

    Raises:
        FarkerasError: The file does not exist, cannot be loaded, has no mask network or one of another architecture,
            or farkeras ships no weights for this architecture. The network stays as it was.
    """
    if source == "shipped":
        path = shipped_mask_weights(network)
        if not path:
            raise FarkerasError(
                f"farkeras ships no mask weights for {_settings(network.widths, network.output_stride)}; it ships some "
                f"for {shipped_settings()}. Use these settings, or set `mask_weights` to none, or to a run or file "
                "with masks."
            )
    else:
        path = model_path(source)
    model = load_keras_file(path)
    found = [layer for layer in getattr(model, "layers", ()) if isinstance(layer, AML)]
    if len(found) != 1:
        raise FarkerasError(
            f"{path} has no mask network: expected a model that was trained with `model=mgmtn`, or a file of `python "
            f"-m farkeras.pretrain_masks`. Received: the model '{model.name}'."
        )
    if _architecture(found[0]) != _architecture(network):
        raise FarkerasError(
            f"The mask network in {path} has {_described(found[0])}; expected {_described(network)}. Change these "
            "settings to those of the file, or set `mask_weights` to another file."
        )
    network.set_weights(found[0].get_weights())


def save_mask_network(network: AML, image_size: Sequence[int], path: str | os.PathLike) -> None:
    """Writes a mask network to a `.keras` file, with weights in float16, which halves the size of the file.

    Args:
        network: The mask network, built.
        image_size: Height and width of the images that it was trained with.
        path: The file. It appears only when it is complete, and replaces an existing file.

    Raises:
        FarkerasError: A weight is not finite in float16, the path does not end in `.keras`, or it cannot be written.
    """
    path = check_mask_file(path)
    images = keras.Input((*image_size, 3), name="images")
    copy = AML.from_config({**network.get_config(), "dtype": "float16", "name": "aml"})
    model = keras.Model(images, copy(images), name="mask_network")
    weights = [np.asarray(weight, np.float32) for weight in network.get_weights()]
    if bad := [w.path for w, value in zip(network.weights, weights, strict=True) if (abs(value) > 65504).any()]:
        raise FarkerasError(f"The weight '{bad[0]}' is too large for float16. Train with a lower `learning_rate`.")
    copy.set_weights(weights)
    with writing(path, instead="output"), written_aside(path) as aside:
        model.save(aside)


def check_mask_file(path: str | os.PathLike) -> Path:
    """Returns the path of a file to write; raises `FarkerasError` unless its name ends in `.keras`."""
    if as_path(path).suffix != ".keras":
        raise FarkerasError(f"`output` must be a file name that ends in .keras. Received: {path}.")
    return as_path(path)


def _architecture(network: AML) -> tuple:
    return network.num_masks, network.widths, network.output_stride


def _described(network: AML) -> str:
    text = _settings(network.widths, network.output_stride)
    return text if network.num_masks == len(REGIONS) else f"{network.num_masks} masks, {text}"


def _settings(widths: Sequence[int | str], stride: int | str) -> str:
    return f"`mask_widths={','.join(map(str, widths))}` and `mask_stride={stride}`"


def shipped_settings() -> str:
    """Returns the settings of the mask networks whose weights are shipped, for messages."""
    named = [file.stem.removeprefix("widths_").split("_stride_") for file in sorted(_SHIPPED.glob("*.keras"))]
    return "; ".join(_settings(widths.split("_"), stride) for widths, stride in named)
