"""What `python -m farkeras.evaluate` stored, `evaluation.json`, for commands that compare with it."""

import json
import os
import shlex
from pathlib import Path

from farkeras.errors import FarkerasError

EVALUATION_FILE = "evaluation.json"


def read_evaluation(folder: str | os.PathLike, data_dir: str | os.PathLike, split: str = "test") -> dict:
    """The evaluation in a folder, if it is one of a certain split of certain data.

    Args:
        folder: A workdir, or the folder that `--output` named.
        data_dir: The data set's folder.
        split: "train", "validation" or "test".

    Returns:
        As `farkeras.metrics.report.write_report` takes it.

    Raises:
        FarkerasError: There is none, it cannot be read, or it is of other data or of another split.
    """
    path = Path(folder) / EVALUATION_FILE
    command = f"python -m farkeras.evaluate --workdir={_quoted(folder)} --data_dir={_quoted(data_dir)} --split={split}"
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
    if os.path.realpath(found_dir) != os.path.realpath(data_dir):
        raise FarkerasError(f"{path} is of the data in {found_dir}, expected {data_dir}; write it again: {command}")
    return evaluation


def _quoted(path: str | os.PathLike) -> str:
    return shlex.quote(os.fspath(path))
