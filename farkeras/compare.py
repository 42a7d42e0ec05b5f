"""Compares models under one recipe, over several seeds: `python -m farkeras.compare --flagfile=F --workdir=DIR`.

The command trains each of `--models` with each of `--seeds`, with all other settings equal. It writes `comparison.json`
and `comparison.md`, with accuracy on the test split (mean and standard deviation over the seeds), parameters, and the
time of a forward pass relative to the bare backbone. After an interruption, the same command continues.
"""

import json
from contextlib import ExitStack
from pathlib import Path

from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.config import Config
from farkeras.files import write_text, writing
from farkeras.native_logs import without_native_logs
from farkeras.report.summary import PROCEDURAL, UNDEFINED, markdown_table, percent

HEADER = ("Model", "Accuracy", "Balanced accuracy", "Mask IoU", "Trainable parameters", "Forward time")


def define(flags: Flags) -> None:
    flags.texts("models", Config.__dataclass_fields__["model"].metadata["choices"], "Models to compare.")
    flags.texts("seeds", ["0", "1", "2"], "Seeds; each model is trained once per seed.")
    flags.path("workdir", "Folder of the runs and of the results.", required=True)
    flags.settings()


def main(options: Flags) -> None:
    """Trains, measures, writes and prints the table."""
    seeds = options.integers("seeds")
    config = options.config()
    with without_native_logs():
        from farkeras.cli.training_report import ConsoleReport
        from farkeras.data.procedural import is_procedural
        from farkeras.training.comparison import compare_models

    with ExitStack() as at_end:

        def listeners(name: str) -> list[ConsoleReport]:
            print(f"\n{name}", flush=True)
            report = ConsoleReport(seconds_between=60)
            at_end.callback(report.stop)
            return [report]

        comparison = compare_models(config, options.models, seeds, options.workdir, listeners)
    text = markdown(comparison, len(seeds), is_procedural(config.data_dir))
    with writing(f"the comparison to {options.workdir}", "trained"):
        write_text(Path(options.workdir) / "comparison.json", json.dumps(comparison, indent=1, allow_nan=False) + "\n")
        write_text(Path(options.workdir) / "comparison.md", text)
    print(f"\n{text}")


def markdown(comparison: dict, num_seeds: int, procedural: bool) -> str:
    """Returns the table in Markdown, with notes on its columns."""
    rows = [
        (
            name,
            *(_spread(row[metric]) for metric in ("mean_accuracy", "mean_balanced_accuracy", "mean_mask_iou")),
            f"{row['parameters']:,}",
            f"{row['forward_time']:.2f}",
        )
        for name, row in comparison["models"].items()
    ]
    backbone = next(iter(comparison["models"].values()))["backbone_parameters"]
    notes = (
        f"Metrics on the test split in percent, mean ± standard deviation over {num_seeds} seeds. Majority baseline "
        f"(always predicting the more frequent label): {percent(comparison['majority_accuracy'])}. "
        f"Forward time: for 16 images on {comparison['device']}, relative to the bare backbone with pooling, which has "
        f"{backbone:,} parameters."
    )
    return "\n\n".join([markdown_table(HEADER, rows), notes, *([f"{PROCEDURAL}."] if procedural else [])]) + "\n"


def _spread(metric: dict | None) -> str:
    if metric is None:
        return UNDEFINED
    return percent(metric["mean"]) + ("" if metric["std"] is None else f" ± {percent(metric['std'])}")


if __name__ == "__main__":
    run_command(define, main)
