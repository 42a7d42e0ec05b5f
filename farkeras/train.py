"""Trains a model: python -m farkeras.train --flagfile=configs/celeba.flags --data_dir=... --workdir=..."""

from absl import flags

from farkeras import flagfiles as settings
from farkeras.cli.progress import ProgressDisplay
from farkeras.cli.run import run
from farkeras.errors import FarkerasError
from farkeras.native_logs import without_native_logs

WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run; the same command continues a run that was stopped.")
settings.define()
flags.adopt_module_key_flags(settings)  # --help shows them


def main(argv: list[str]) -> int:
    if argv[1:]:
        raise FarkerasError(f"Unexpected argument '{argv[1]}'; settings are given as --name=value.")
    if not WORKDIR.value:
        raise FarkerasError("No folder for the run given; name it with --workdir=PATH.")
    config = settings.config_from_flags()
    with without_native_logs():
        from farkeras.cli.training_report import ConsoleReport
        from farkeras.models.model_file import MODEL_FILE
        from farkeras.training.loop import train_and_evaluate

    report = ConsoleReport()
    try:
        with ProgressDisplay(report.console, "Unpacking", "files") as unpacking:
            run = train_and_evaluate(config, WORKDIR.value, [report], unpacking)
    finally:
        report.stop()
    if not (run.workdir / MODEL_FILE).exists():
        raise FarkerasError(
            f"No validation of {WORKDIR.value} had a --select_by={config.select_by}, so no model was kept; the "
            "validation split needs known labels of both classes."
        )
    report.console.print(
        f"Best model: {run.workdir / MODEL_FILE}. Next: python -m farkeras.evaluate --workdir={WORKDIR.value}",
        soft_wrap=True,
    )
    return 0


if __name__ == "__main__":
    run(main)
