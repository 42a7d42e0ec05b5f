"""Trains MGMTN's mask network alone: `python -m farkeras.pretrain_masks --flagfile=FILE --data_dir=DIR --output=FILE`.

A mask network that has seen faces is a better start than random weights if few images have labels: train MGMTN with
`--mask_weights=FILE`. The faces need keypoints (`python -m farkeras.annotate`) and no labels: a table with only a
column of images is enough, and so are procedural faces. The network must have the `--mask_widths` and `--mask_stride`
of the later run, and it should see faces of about the same size in pixels.
"""

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.progress import ProgressDisplay
from farkeras.cli.run import run_command
from farkeras.native_logs import without_native_logs


def define(flags: Flags) -> None:
    flags.path("output", "File to write: NAME.keras, with weights in float16.", required=True)
    flags.settings()  # all settings of a run, so that its flagfile also works here


def main(options: Flags) -> None:
    """Trains the mask network, then prints the IoU of its masks on the validation split."""
    config = options.config()
    with without_native_logs():
        from farkeras.report.summary import percent
        from farkeras.training.mask_training import train_mask_network

    console = make_console()
    with ProgressDisplay(console, "Unpacking", "files") as unpacking, ProgressDisplay(console, what="steps") as display:
        metrics = train_mask_network(config, options.output, display, unpacking)
    console.print(f"{options.output}: mask network, {display.rate}.")
    if metrics:
        regions = ", ".join(f"{region} {percent(iou)}" for region, iou in metrics["mask_iou"].items())
        console.print(
            f"Mask IoU on {metrics['mask_images']:,} validation images: {percent(metrics['mean_mask_iou'])} % "
            f"({regions})."
        )


if __name__ == "__main__":
    run_command(define, main)
