"""The file `evaluation.json` of `python -m farkeras.evaluate`: its name, its reader and a check before writing it."""

import json
import os
import shlex
from pathlib import Path

from farkeras.errors import FarkerasError
from farkeras.files import as_path

EVALUATION_FILE = "evaluation.json"


def read_evaluation(folder: str | os.PathLike, data_dir: str | os.PathLike, split: str = "test") -> dict:
    """Reads the evaluation in a folder, and checks its data set and split.

    Args:
        folder: A workdir, or the `output` folder of an evaluation.
        data_dir: The folder of the data set.
        split: `"train"`, `"validation"` or `"test"`.

    Returns:
        The evaluation, as `farkeras.report.page.write_report` accepts it.

    Raises:
        FarkerasError: The file does not exist, cannot be read, or is an evaluation of another data set or split.
    """
    path = as_path(folder) / EVALUATION_FILE
    own, data = shlex.quote(str(folder)), shlex.quote(str(data_dir))
    command = f"python -m farkeras.evaluate --workdir={own} --data_dir={data} --split={split}"
    try:
        evaluation = json.loads(path.read_text(encoding="utf-8"))
        run, _ = evaluation["run"], evaluation["attributes"]
        found_dir, found_split = Path(run["data_dir"]), run["split"]
    except FileNotFoundError:
        raise FarkerasError(f"{path} does not exist. Write it with: {command}") from None
    except OSError as error:
        raise FarkerasError(f"Cannot read {path} ({error.strerror}). Write it again with: {command}") from None
    except (ValueError, KeyError, TypeError):
        raise FarkerasError(f"{path} is not a file of farkeras.evaluate. Write it again with: {command}") from None
    if found_split != split:
        raise FarkerasError(
            f"{path} evaluates the split '{found_split}'; expected '{split}'. Write it again with: {command}"
        )
    if os.path.realpath(found_dir) != os.path.realpath(as_path(data_dir)):
        raise FarkerasError(
            f"{path} evaluates the data in {found_dir}; expected {data_dir}. Write it again with: {command}"
        )
    return evaluation


def check_same_data(trained: dict, source: str, data_dir: str, folder: Path) -> None:
    """Checks that results written to the model's folder are on the data set that the model was trained on.

    Args:
        trained: The settings of the training run.
        source: The source (kind of data set) to evaluate on; "" means that of the training run.
        data_dir: The folder of the data set; "" means that of the training run.
        folder: The folder of the model.

    Raises:
        FarkerasError: The source or the folder of the data set differs from that of the training run.
    """
    own = trained.get("source", "celeba"), trained.get("data_dir", "")
    source, data_dir = source or own[0], data_dir or own[1]
    if source != own[0] or os.path.realpath(as_path(data_dir)) != os.path.realpath(own[1]):
        raise FarkerasError(
            f"The model was trained on {own[0]} in {own[1]}; results on {source} in {data_dir} would replace "
            f"those in {folder}. Set another folder for them: `output={folder / f'on_{source}'}`."
        )
