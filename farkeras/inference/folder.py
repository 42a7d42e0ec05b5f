"""Recognition of the attributes of all photographs in a folder, written as a CSV file."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence

from farkeras.consistency.answers import Consistency
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
    min_confidence: float = 0.0,
    consistency: Consistency | None = None,
) -> list[Prediction]:
    """Recognises the attributes of every photograph in a folder, and writes them to a CSV file.

    Args:
        model: The workdir of a training run, a `.keras` file, or a `Recognizer` from `farkeras.load`.
        folder: The folder of photographs; subfolders are not searched.
        output: The CSV file; `<folder>/predictions.csv` by default. An existing file is replaced.
        align: Whether to find and align the face in each photograph first. If False, the files must be aligned faces,
            such as CelebA's crops.
        progress: A function that is called as `progress(photos_done, photos_total)`.
        min_confidence: The lowest confidence of an answer, see `Recognizer.predict_each`.
        consistency: `farkeras.Consistency(recognizer.attributes)`, to answer without contradictions.

    Returns:
        One prediction per photograph, in the order of their names. For a photograph that cannot be used, the prediction
        has an `error`.

    Raises:
        FarkerasError: The model cannot be loaded, the folder has no photograph, or the CSV file cannot be written.
    """
    photos, errors = find_photos([folder])
    if errors:
        raise FarkerasError(errors[0])
    recognizer = model if isinstance(model, Recognizer) else load(model)
    predictions: list[Prediction] = []

    def each() -> Iterator[Prediction]:
        for prediction in recognizer.predict_each(
            photos, align, min_confidence=min_confidence, consistency=consistency
        ):
            predictions.append(prediction)
            report(progress, len(predictions), len(photos))
            yield prediction

    write_predictions(output or as_path(folder) / PREDICTIONS_FILE, recognizer.attributes, each())
    return predictions


def write_predictions(path: str | os.PathLike, attributes: Sequence[str], predictions: Iterable[Prediction]) -> None:
    """Writes a CSV file with one row per photograph.

    The columns are `photo`, a probability for each attribute, `positive` and `unsure` (the attributes with this answer,
    separated by semicolons), and `error`. The file appears only when it is complete, and replaces an existing file.

    Args:
        path: The CSV file.
        attributes: The attributes, in the order of the columns.
        predictions: The predictions, one per row.

    Raises:
        FarkerasError: The file cannot be written.
    """
    try:
        with written_aside(path) as aside, open(aside, "w", newline="", encoding="utf-8", errors=ESCAPED) as file:
            rows = csv.writer(file)
            rows.writerow(["photo", *attributes, "positive", "unsure", "error"])
            for p in predictions:
                values = [f"{p.probabilities[a]:.6f}" if p.probabilities else "" for a in attributes]
                rows.writerow([p.photo, *values, ";".join(p.positive), ";".join(p.unsure), p.error or ""])
    except OSError as error:
        raise FarkerasError(f"Cannot write {path} ({error.strerror}). Choose another path for the CSV file.") from None
