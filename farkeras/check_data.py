"""Looks a data set over before it is trained on: `python -m farkeras.check_data --data_dir=DIR`.

Every image is read once and decoded as training does it. Shown are the splits, the share of positive labels of each
attribute, and what is wrong: images that are missing, damaged, in two splits at once or of odd sizes, labels that
contradict each other. `--json=FILE` writes the same for programs, with every image concerned.

The exit code is 1 when training, or the evaluation after it, would end with an error: the source cannot be opened, a
split is empty, an image is missing, more than 1 % of a split's images cannot be decoded, no attribute has training
labels of both classes, a run with these flags would refuse the data or keep no model, or the disk of `--workdir=DIR`
has no room for the run. Otherwise it is 0, whatever else is found (`farkeras/data/check.py` lists it).

`--shortcuts` adds whether the attributes can be told without looking at faces: the balanced accuracy of logistic
regressions on 32 x 32 pixels (fitted to the training split, scored on the test split), on the border, and on the file's
size (five-fold, over all images; chance is 0.5). `--workdir=DIR` puts the model trained there beside them, from what
`python -m farkeras.evaluate` found on the test split, and says how far it is above the regression on 32 x 32 pixels.

On 2 cores shared with much other work this read 1,470 to 2,870 drawn faces a second:

    python -m farkeras.synthesize --num_images=6000 --seed=0 --output=DIR
    python -m farkeras.check_data --data_dir=DIR --workers=2
"""

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.progress import ProgressDisplay
from farkeras.cli.run import run_command
from farkeras.errors import FarkerasError
from farkeras.files import as_path
from farkeras.metrics.evaluation_file import read_evaluation
from farkeras.native_logs import silence_native_logs


def define(flags: Flags) -> None:
    flags.worker_count("Threads that read and decode")
    flags.path("json", "JSON file to write, replaced if there.")
    flags.boolean("shortcuts", False, "Also measure whether the attributes can be told without looking at faces.")
    flags.path(
        "workdir", "Folder of the run, whose disk must have room; with --shortcuts, the evaluated run to compare with."
    )
    flags.settings()  # all of a run's, so that its flagfile serves here, too


def main(options: Flags) -> int:
    """Shows what the data set holds and what is wrong with it; 1 when training would fail."""
    config = options.config()
    if not config.data_dir:
        raise FarkerasError("No data folder given; name it with --data_dir=PATH.")
    evaluation = read_evaluation(options.workdir, config.data_dir) if options.shortcuts and options.workdir else None
    silence_native_logs()
    import tensorflow as tf

    from farkeras.cli.data_report import attribute_table, print_findings, split_table, write_json
    from farkeras.data.check import check_data_set

    tf.config.set_visible_devices([], "GPU")  # images are decoded on the CPU; a run may have the GPU
    console = make_console()
    with ProgressDisplay(console, "Unpacking", "files") as unpacking, ProgressDisplay(console) as reading:
        report = check_data_set(config.source, config.data_dir, options.workers, unpacking, reading, config.to_dict())
    if options.workdir and not options.shortcuts and not report.training_fails:
        from farkeras.training.building import start_findings

        report = report._replace(findings=(*start_findings(config, as_path(options.workdir)), *report.findings))
    if report.splits:
        console.print(split_table(report), attribute_table(report), sep="\n")
        console.print(f"{reading.new:,} images read, {reading.new / max(reading.seconds, 1e-9):.0f} images/s.")
    print_findings(console, report, options.as_flags)
    number = f"{len(report.findings) or 'no'} finding{'' if len(report.findings) == 1 else 's'}"
    verdict = "training would fail" if report.training_fails else "nothing that stops training"
    console.print(f"{config.data_dir}: {number}, {verdict}.")
    if options.shortcuts and report.splits and not report.training_fails:
        from farkeras.cli.shortcut_report import shortcut_lines
        from farkeras.data.shortcuts import measure_shortcuts
        from farkeras.data.sources.opening import open_source

        source = open_source(config.source, config.data_dir, settings=config.to_dict())
        with ProgressDisplay(console, "Looking for shortcuts") as looking:
            console.print(*shortcut_lines(source.attributes, measure_shortcuts(source, looking), evaluation), sep="\n")
    if options.json:
        write_json(options.json, config.source, config.data_dir, report)
    return 1 if report.training_fails else 0


if __name__ == "__main__":
    run_command(define, main)
