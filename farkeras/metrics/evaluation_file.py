"""What `python -m farkeras.evaluate` stores, `evaluation.json`: its name, its reader, and whose place it may take."""

import json
import os
import shlex
from pathlib import Path

from farkeras.errors import FarkerasError
from farkeras.files import as_path

EVALUATION_FILE = "evaluation.json"


def read_evaluation(folder: str | os.PathLike, data_dir: str | os.PathLike, split: str = "test") -> dict:
    """The evaluation that a folder holds, of a given split of given data.

    Args:
        folder: A workdir, or the `output` folder of the evaluation.
        data_dir: The data set's folder.
        split: "train", "validation" or "test".

    Returns:
        As `farkeras.report.page.write_report` takes it.

    Raises:
        FarkerasError: The folder holds none, it cannot be read, or it is of other data or of another split.
    """
    path = as_path(folder) / EVALUATION_FILE
    own, data = shlex.quote(str(folder)), shlex.quote(str(data_dir))
    command = f"python -m farkeras.evaluate --workdir={own} --data_dir={data} --split={split}"
    try:
        evaluation = json.loads(path.read_text(encoding="utf-8"))
        run, _ = evaluation["run"], evaluation["attributes"]
        found_dir, found_split = Path(run["data_dir"]), run["split"]
    except FileNotFoundError:
        raise FarkerasError(f"There is no {path}; write it first: {command}") from None
    except OSError as error:
        raise FarkerasError(f"Cannot read {path} ({error.strerror}); write it again: {command}") from None
    except (ValueError, KeyError, TypeError):
        raise FarkerasError(f"{path} is not what farkeras.evaluate writes; write it again: {command}") from None
    if found_split != split:
        raise FarkerasError(f"{path} is of the split '{found_split}', expected '{split}'; write it again: {command}")
    if os.path.realpath(found_dir) != os.path.realpath(as_path(data_dir)):
        raise FarkerasError(f"{path} is of the data in {found_dir}, expected {data_dir}; write it again: {command}")
    return evaluation


def check_same_data(trained: dict, source: str, data_dir: str, folder: Path) -> None:
    """Checks that results go beside the model only when they are on the data that it was trained on.

    Args:
        trained: Settings of the training run.
        source: Kind of data set to evaluate on; "" for the one of the training.
        data_dir: Its folder; "" for the one of the training.
        folder: The model's.

    Raises:
        FarkerasError: It is another data set, or another folder of it.
    """
    own = trained.get("source", "celeba"), trained.get("data_dir", "")
    source, data_dir = source or own[0], data_dir or own[1]
    if source != own[0] or os.path.realpath(as_path(data_dir)) != os.path.realpath(own[1]):
        raise FarkerasError(
            f"The model was trained on {own[0]} in {own[1]}; results on {source} in {data_dir} would take the place of "
            f"its own in {folder}. Name another folder for them: `output={folder / f'on_{source}'}`."
        )
