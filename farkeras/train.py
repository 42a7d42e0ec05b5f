"""Trains a model: `python -m farkeras.train --flagfile=configs/celeba.flags --data_dir=DIR --workdir=RUN`.

The same command continues a run that was stopped. SIGTERM and Ctrl-C end the current training step and save a
checkpoint; the exit code is then 143 or 130. A second signal ends the process at once.

On several machines, start the same command on each, with `TF_CONFIG` or with SLURM's `srun`; see the page Several
machines. The exit code 75 says that another machine was lost or did not come: start the same command on all again.
"""

import shlex

from farkeras.cli.flags import Flags
from farkeras.cli.progress import ProgressDisplay
from farkeras.cli.run import run_command
from farkeras.cli.signals import stop_on_signals
from farkeras.errors import FarkerasError
from farkeras.native_logs import without_native_logs


def define(flags: Flags) -> None:
    flags.path("workdir", "Folder of the run. The same command continues a run that was stopped.", required=True)
    flags.settings()


def main(options: Flags) -> int:
    config = options.config()
    with without_native_logs():
        from farkeras.cli.training_report import ConsoleReport
        from farkeras.models.model_file import MODEL_FILE
        from farkeras.training.preemption import StopRequest
        from farkeras.training.run import train_and_evaluate

    report, stop = ConsoleReport(), StopRequest()
    try:
        with ProgressDisplay(report.console, "Unpacking", "files") as unpacking, stop_on_signals(stop):
            run = train_and_evaluate(config, options.workdir, [report], unpacking, stop)
    finally:
        report.stop()
    if not run.workers.chief:
        return 0
    if not (run.workdir / MODEL_FILE).exists():
        raise FarkerasError(
            f"--select_by={config.select_by} was undefined in every validation of {options.workdir}, so no model was "
            "saved. Expected known labels of both classes in the validation split; label more of its images."
        )
    report.console.print(
        f"Best model: {run.workdir / MODEL_FILE}. "
        f"Next: python -m farkeras.evaluate --workdir={shlex.quote(options.workdir)}",
        markup=False,
        soft_wrap=True,
    )
    return 0


if __name__ == "__main__":
    run_command(define, main)
