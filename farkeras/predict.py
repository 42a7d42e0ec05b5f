"""Face attributes of photographs: `python -m farkeras.predict PHOTO... --workdir=runs/demo`.

The largest face of each photograph is found and aligned. Photographs are shown as tables, or as JSON with `--json`.
Where one of the places is a folder, all its photographs are taken and the results go to a CSV file; a line on stderr
says what in it is no photograph. `--overlay=out.png` also draws where a model with masks (MGMTN) sees the regions of
the face, and what it reads from each. A photograph that cannot be used, or a folder without one, costs one line on
stderr and exit code 1; the others are done all the same.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.progress import track

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.predictions import print_json, probability_table
from farkeras.cli.run import run_command
from farkeras.errors import FarkerasError
from farkeras.native_logs import silence_native_logs
from farkeras.photos.search import PREDICTIONS_FILE, find_photos


def define(flags: Flags) -> None:
    usage = "python -m farkeras.predict PHOTO... --workdir=DIR"
    flags.accept_arguments("PHOTO_OR_FOLDER...", f"No photo given: {usage}.")
    flags.path("workdir", "Folder of a training run.")
    flags.path("model", "A .keras file, in place of --workdir.")
    flags.boolean("json", False, "Print JSON in place of tables.")
    flags.path("output", "CSV file to write, replaced if there; default for a folder: <folder>/predictions.csv.")
    flags.path("overlay", "PNG file to write, replaced if there: each photo with the regions and what they show.")
    flags.boolean("align", True, "Find and align the face; with --noalign the images are CelebA-aligned crops.")
    flags.number("threshold", 0.5, "Probability from which an attribute is marked.", 0, 1)


def main(options: Flags) -> int:
    """Recognises the photographs named on the command line; 1 when one of them could not be used."""
    places = options.arguments
    if bool(options.workdir) == bool(options.model):
        raise FarkerasError("Name the model with either --workdir=DIR or --model=FILE.keras.")
    if options.json and options.output:
        raise FarkerasError("Give --json for the screen or --output for a CSV file, not both.")
    photos, without_photos = find_photos(places)
    for error in without_photos:
        print(f"error: {error}", file=sys.stderr)
    if not photos:
        return 1
    searched = [place for place in map(Path, places) if place in {photo.parent for photo in photos}]  # not empty ones
    output = options.output or (searched[0] / PREDICTIONS_FILE if searched else None)

    if options.overlay:
        from farkeras.report.overlay import check_overlay, write_overlay  # Matplotlib

        check_overlay(options.overlay, photos)

    silence_native_logs()
    from farkeras.inference.folder import write_predictions  # TensorFlow
    from farkeras.inference.recognizer import load

    recognizer = load(options.workdir or options.model)
    errors, drawn = [], []

    def predictions() -> Iterator:
        for prediction in recognizer.predict_each(photos, options.align, regions=bool(options.overlay)):
            if prediction.error:
                errors.append(prediction)
                print(f"error: {prediction.error}", file=sys.stderr)
            elif prediction.regions:
                drawn.append(replace(prediction, regions=prediction.regions.close_up()))
            yield prediction

    if options.json:
        print_json(predictions())
    elif output:
        screen = make_console(stderr=True)
        progress = track(predictions(), "Photos", len(photos), console=screen, disable=not screen.is_terminal)
        write_predictions(output, recognizer.attributes, progress)
        print(f"{output}: {len(photos) - len(errors)} of {len(photos)} photos")
    else:
        console = make_console(soft_wrap=False)
        for prediction in predictions():
            if prediction.probabilities:
                console.print(probability_table(prediction, recognizer.groups, options.threshold))
    if drawn:
        write_overlay(options.overlay, drawn, recognizer.groups, options.threshold)
        print(
            f"{options.overlay}: {len(drawn)} of {len(photos)} photos", file=sys.stderr if options.json else sys.stdout
        )
    if recognizer.procedural:
        print("This model learned from drawn faces: what it says of photographs means little.", file=sys.stderr)
    return 1 if errors or without_photos else 0


if __name__ == "__main__":
    run_command(define, main)
