"""Trains a model: python -m farkeras.train --flagfile=configs/celeba.flags --data_dir=... --workdir=..."""

from absl import flags

from farkeras import flags as settings
from farkeras.errors import FarkerasError
from farkeras.main import run
from farkeras.native_logs import quiet_import

WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run; the same command continues a run that was stopped.")
settings.define()


def main(argv: list[str]) -> int:
    if argv[1:]:
        raise FarkerasError(f"Unexpected argument '{argv[1]}'; settings are given as --name=value.")
    if not WORKDIR.value:
        raise FarkerasError("No folder for the run given; name it with --workdir=PATH.")
    config = settings.config_from_flags()
    with quiet_import():
        from farkeras.console import ConsoleReport
        from farkeras.training.loop import train_and_evaluate

    report = ConsoleReport()
    try:
        train_and_evaluate(config, WORKDIR.value, [report])
    finally:
        report.stop()
    report.console.print(
        f"Best model: {WORKDIR.value}/model.keras. Next: python -m farkeras.evaluate --workdir={WORKDIR.value}",
        soft_wrap=True,
    )
    return 0


if __name__ == "__main__":
    run(main)
