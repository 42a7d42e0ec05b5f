"""Converts the weights of a PyTorch network to a `.keras` file of the backbone that equals the network."""

import os
from dataclasses import dataclass

from farkeras.errors import FarkerasError
from farkeras.files import as_path, writing, written_aside
from farkeras.models.backbones import build_backbone
from farkeras.models.torch_files import naming, read_state_dict
from farkeras.models.torch_weights import architecture_of, load_state_dict

_SIZE = (224, 224)  # of the model in the file; the weights fit every size


@dataclass(frozen=True)
class ConvertedWeights:
    """What `convert_state_dict` has written.

    Attributes:
        backbone: The backbone that equals the network, a value of the setting `backbone`.
        used: Number of tensors that the backbone has taken.
        left_out: Names of the other tensors: the classifier and the counters of batch normalisation.
    """

    backbone: str
    used: int
    left_out: tuple[str, ...]


def convert_state_dict(
    source: str | os.PathLike,
    output: str | os.PathLike,
    backbone: str = "",
    part: str = "",
    backbone_alpha: float = 1.0,
) -> ConvertedWeights:
    """Converts the weights of a PyTorch network to a `.keras` file. PyTorch is not needed, and no code is run.

    The file is a value for the setting `backbone_weights`, with the returned backbone as `backbone`. It is a plain
    Keras model from images in 0..255 to features, so `keras.saving.load_model` reads it, too.

    Args:
        source: A file of PyTorch (`.pth`, `.pt`) or safetensors, with the weights of a whole network. The page Weights
            lists the networks.
        output: The `.keras` file to write; an existing file is replaced.
        backbone: The backbone to expect, such as `TorchResNet50`; by default the one that the tensors belong to.
        part: For a checkpoint with the weights of several networks, the one to convert, such as `ema`.
        backbone_alpha: Width multiplier of the network, for the MobileNets.

    Returns:
        The backbone, and which tensors were used and left out.

    Raises:
        FarkerasError: The source cannot be read, holds anything but the tensors of one network, or its network is
            unknown or not `backbone`; or the output cannot be written.
    """
    output = as_path(output)
    if output.suffix != ".keras":
        raise FarkerasError(f"`output` must be the name of a .keras file. Received: {output}.")
    state = read_state_dict(source, part)
    with naming(source):
        name = backbone or architecture_of(state)
        model = build_backbone(name, _SIZE, backbone_alpha)
        left_out = load_state_dict(model, name, state)
    with writing(output, instead="output"), written_aside(output) as aside:
        model.save(aside)
    return ConvertedWeights(name, len(state) - len(left_out), tuple(left_out))
