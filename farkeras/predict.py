"""Predicts the face attributes of photographs: `python -m farkeras.predict PHOTO... --workdir=runs/demo`.

The command finds and aligns the largest face of each photograph. It prints a table per photograph, or JSON with
`--json`. A star marks the attributes whose probability reaches their threshold, which training has chosen on validation
images; with `--min_confidence=0.9`, a question mark marks the answers that are less sure. With `--consistent`, the
stars do not contradict each other: of two hair colours, the more probable one has it. For a folder, the command
reads all photographs in the folder, writes a CSV file, and names other files on stderr. `--overlay=out.png` also draws
the face regions that a model with masks (MGMTN) predicts, and the attributes of each. A photograph without a usable
face, or a folder without photographs, gives one line on stderr and exit code 1; all other photographs are still
processed.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.progress import track

from farkeras.cli.console import make_console
from farkeras.cli.flags import CALIBRATE_HELP, Flags
from farkeras.cli.predictions import marks, print_json, probability_table
from farkeras.cli.run import run_command
from farkeras.consistency.answers import Consistency
from farkeras.decisions import CALIBRATE
from farkeras.errors import FarkerasError
from farkeras.native_logs import silence_native_logs
from farkeras.photos.search import PREDICTIONS_FILE, find_photos


def define(flags: Flags) -> None:
    usage = "python -m farkeras.predict PHOTO... --workdir=DIR"
    flags.accept_arguments("PHOTO_OR_FOLDER...", f"No photo given: {usage}.")
    flags.path("workdir", "Workdir of a run.")
    flags.path("model", "A .keras file, in place of --workdir.")
    flags.boolean("json", False, "Print JSON instead of tables.")
    flags.path(
        "output", "CSV file to write or replace. Empty: for a folder, predictions.csv in it; for photos, no file."
    )
    flags.path(
        "overlay", "PNG file to write or replace: each photo with its face regions and their attributes. Empty: none."
    )
    flags.boolean("align", True, "Find and align the face. With --noalign, the images must be CelebA-aligned crops.")
    flags.number(
        "threshold",
        None,
        "Probability from which on an attribute is marked as present, 0 to 1; by default, the attribute's own "
        "threshold in the model file, or 0.5 for files without.",
        0,
        1,
    )
    flags.number(
        "min_confidence",
        0.0,
        "Confidence below which an answer is marked as unsure. The confidence is 0.5 at the threshold and at most 1.",
        0,
        1,
    )
    flags.boolean("consistent", False, "Answer with the most probable combination that no consistency rule forbids.")
    flags.path("consistency_rules", "TOML file of rules in addition to those that farkeras has; implies --consistent.")
    flags.choice("calibrate", "auto", CALIBRATE, CALIBRATE_HELP)


def main(options: Flags) -> int:
    """Predicts the photographs of the command line; returns 1 if one of them is not usable."""
    places = options.arguments
    if bool(options.workdir) == bool(options.model):
        raise FarkerasError("Give either --workdir=FOLDER or --model=FILE.keras.")
    if options.json and options.output:
        raise FarkerasError("Give either --json, which prints, or --output, which writes a CSV file.")
    photos, without_photos = find_photos(places)
    for error in without_photos:
        print(f"error: {error}", file=sys.stderr)
    if not photos:
        return 1
    searched = [
        place for place in map(Path, places) if place in {photo.parent for photo in photos}
    ]  # folders with photos
    output = options.output or (searched[0] / PREDICTIONS_FILE if searched else None)

    if options.overlay:
        from farkeras.report.overlay import check_overlay, write_overlay  # Matplotlib

        check_overlay(options.overlay, photos)

    silence_native_logs()
    from farkeras.inference.folder import write_predictions  # TensorFlow
    from farkeras.inference.recognizer import load

    recognizer = load(options.workdir or options.model, calibrate=options.calibrate)
    rules = options.consistency_rules
    consistency = Consistency(recognizer.attributes, rules) if options.consistent or rules else None
    errors, drawn = [], []

    def predictions() -> Iterator:
        for prediction in recognizer.predict_each(
            photos, options.align, bool(options.overlay), options.min_confidence, options.threshold, consistency
        ):
            if prediction.error:
                errors.append(prediction)
                print(f"error: {options.as_flags(prediction.error)}", file=sys.stderr)
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
        used = recognizer.thresholds.values() if options.threshold is None else [options.threshold]
        heading = marks(used, options.min_confidence)
        for prediction in predictions():
            if prediction.probabilities:
                console.print(probability_table(prediction, recognizer.groups, heading))
    if drawn:
        write_overlay(options.overlay, drawn, recognizer.groups)
        print(
            f"{options.overlay}: {len(drawn)} of {len(photos)} photos", file=sys.stderr if options.json else sys.stdout
        )
    if recognizer.procedural:
        print("This model learned from procedural faces: its answers on photographs mean little.", file=sys.stderr)
    return 1 if errors or without_photos else 0


if __name__ == "__main__":
    run_command(define, main)
