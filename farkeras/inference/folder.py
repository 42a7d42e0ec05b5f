"""The attributes of all photographs in a folder, as a CSV file."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence

from farkeras.errors import FarkerasError
from farkeras.files import ESCAPED, as_path, written_aside
from farkeras.inference.recognizer import Prediction, Recognizer, load
from farkeras.photos.search import PREDICTIONS_FILE, find_photos
from farkeras.progress import Progress, report


def predict_folder(
    model: str | os.PathLike | Recognizer,
    folder: str | os.PathLike,
    output: str | os.PathLike = "",
    align: bool = True,
    progress: Progress | None = None,
) -> list[Prediction]:
    """Recognises the attributes of every photograph in a folder and writes them as a CSV file.

    Args:
        model: The folder of a training run, a `.keras` file, or what `farkeras.load` gave.
        folder: Folder of photographs; its sub-folders are not searched.
        output: CSV file to write, replaced if there; by default `<folder>/predictions.csv`.
        align: Whether these are photographs, in which a face is found and aligned first; with False they are crops
            aligned as CelebA's are.
        progress: Called as `progress(photos_done, photos_total)`.

    Returns:
        One prediction a photograph, in the order of the names; one that cannot be used has an `error`.

    Raises:
        FarkerasError: No model, no photograph there, or the file cannot be written.
    """
    photos, errors = find_photos([folder])
    if errors:
        raise FarkerasError(errors[0])
    recognizer = model if isinstance(model, Recognizer) else load(model)
    predictions: list[Prediction] = []

    def each() -> Iterator[Prediction]:
        for prediction in recognizer.predict_each(photos, align):
            predictions.append(prediction)
            report(progress, len(predictions), len(photos))
            yield prediction

    write_predictions(output or as_path(folder) / PREDICTIONS_FILE, recognizer.attributes, each())
    return predictions


def write_predictions(path: str | os.PathLike, attributes: Sequence[str], predictions: Iterable[Prediction]) -> None:
    """Writes a row per photograph: `photo`, a probability per attribute, `error`.

    The file appears when it is complete, and then replaces one that was there.

    Raises:
        FarkerasError: The file cannot be written there.
    """
    try:
        with written_aside(path) as aside, open(aside, "w", newline="", encoding="utf-8", errors=ESCAPED) as file:
            rows = csv.writer(file)
            rows.writerow(["photo", *attributes, "error"])
            for p in predictions:
                values = [f"{p.probabilities[a]:.6f}" if p.probabilities else "" for a in attributes]
                rows.writerow([p.photo, *values, p.error or ""])
    except OSError as error:
        raise FarkerasError(f"Cannot write {path} ({error.strerror}); choose another place for the CSV file.") from None
