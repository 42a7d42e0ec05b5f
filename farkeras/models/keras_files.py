"""`.keras` files: where a path leads, and loading without running code. On every Keras backend, without TensorFlow."""

import os
import re
from pathlib import Path

import keras

from farkeras.errors import FarkerasError, first_line
from farkeras.files import as_path

MODEL_FILE = "model.keras"


def model_path(path: str | os.PathLike) -> Path:
    """Returns the `.keras` file that a workdir or path names; raises `FarkerasError` if there is none."""
    path = as_path(path)
    if path.is_dir():
        if not (path / MODEL_FILE).is_file():
            raise FarkerasError(
                f"{path} holds no {MODEL_FILE}: expected the `workdir` of a training run after its first validation. "
                "Train first, or wait for the first validation."
            )
        path = path / MODEL_FILE
    if not path.is_file():
        looked = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise FarkerasError(f"No model at {path}{looked}: expected a training run's workdir or a .keras file.")
    return path


def load_keras_file(path: Path) -> keras.Model:
    """Loads a `.keras` file without running code in it; raises `FarkerasError` if it cannot be loaded."""
    try:
        # Safe mode: a file from an untrusted source must not run its own code.
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many types
        raise FarkerasError(
            f"The model in {path} cannot be loaded: {_why_not_loaded(error)}. Expected layers of Keras or farkeras, or "
            "classes registered with keras.saving.register_keras_serializable whose module was imported before."
        ) from None


def _why_not_loaded(error: BaseException) -> str:
    causes: list[BaseException] = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    text = " ".join(map(str, causes))
    if "unsafe" in text:
        return "it contains Python code (a Lambda layer), which farkeras does not run for safety"
    if unknown := re.search(r"Could not locate class '(\w+)'", text):
        return f"Keras does not know the class {unknown[1]} in it"
    return first_line(error)
