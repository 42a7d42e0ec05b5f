"""Converts a PyTorch network's weights to a Keras file: `python -m farkeras.convert_weights SOURCE --output=FILE`.

SOURCE is a file that `torch.save(model.state_dict(), ...)` wrote (`.pth`, `.pt`), or a `.safetensors` file. The command
does not need PyTorch and runs no code of the file. It recognises the network by the names of its tensors, checks that
every tensor is used or known to be unused, and prints the backbone that equals the network. Set both in training, as in
`--backbone=TorchMobileNetV2 --backbone_weights=FILE.keras`. Training also converts: `--backbone_weights=SOURCE`.
"""

from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.errors import FarkerasError, few
from farkeras.native_logs import without_native_logs


def define(flags: Flags) -> None:
    usage = "python -m farkeras.convert_weights SOURCE --output=FILE.keras"
    flags.accept_arguments("SOURCE", f"No file of weights given: {usage}.")
    flags.path("output", "The .keras file to write; an existing file is replaced.", required=True)
    flags.text("backbone", "", "Backbone to expect, such as TorchResNet50. Empty: the one that the tensors belong to.")
    flags.text(
        "part",
        "",
        "Weights to convert of a checkpoint with those of several networks, such as ema. Empty: the only ones.",
    )
    flags.number("backbone_alpha", 1.0, "Width multiplier of the network, for the MobileNets.", 0.05)


def main(options: Flags) -> None:
    """Converts the file and prints what it recognised and which tensors were left out."""
    if len(options.arguments) > 1:
        raise FarkerasError(f"Expected one file of weights. Received: {few(options.arguments)}.")
    (source,) = options.arguments
    with without_native_logs():
        from farkeras.models.torch_conversion import convert_state_dict

        done = convert_state_dict(source, options.output, options.backbone, options.part, options.backbone_alpha)
    counters = sum(name.endswith(".num_batches_tracked") for name in done.left_out)
    others = [name for name in done.left_out if not name.endswith(".num_batches_tracked")]
    left_out = [f"the classifier ({few(others)})"] if others else []
    left_out += [f"{counters} counters of batch normalisation"] if counters else []
    print(f"{options.output}: {done.backbone}, {done.used} tensors; left out: {' and '.join(left_out) or 'none'}")


if __name__ == "__main__":
    run_command(define, main)
