"""Exports a trained model for TF Serving: python export/export_saved_model.py --workdir=runs/demo"""

from pathlib import Path

from absl import flags

from farkeras.main import run
from farkeras.native_logs import quiet_import

WORKDIR = flags.DEFINE_string("workdir", None, "Workdir of a training run.", required=True)
OUTPUT = flags.DEFINE_string("output", "", "Folder of the versions; by default <workdir>/export/saved_model.")


def main(argv: list[str]) -> None:
    with quiet_import():
        from farkeras.exporters.saved_model import export_saved_model

    folder = export_saved_model(WORKDIR.value, OUTPUT.value or Path(WORKDIR.value) / "export" / "saved_model")
    print(f"SavedModel: {folder}")


if __name__ == "__main__":
    run(main)
