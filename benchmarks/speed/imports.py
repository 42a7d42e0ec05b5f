"""Times of fresh processes: `import farkeras`, the first prediction and the first training step."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from farkeras.errors import FarkerasError

IMPORT = "import farkeras"
BARE_IMPORTS = "import tensorflow, keras"
PREDICTION = "import farkeras, numpy; farkeras.load(PATH)(numpy.zeros((218, 178, 3), numpy.uint8), align=False)"
STEP = "from speed.keras_models import *; train_step('demo', False, 32)()"


def fresh_seconds(code: str) -> float:
    """Runs code of one line in a fresh process and returns its seconds, without the start of Python.

    Raises:
        FarkerasError: The code failed.
    """
    timed = f"import time; _began = time.perf_counter(); {code}; print('took', time.perf_counter() - _began)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, env=environment)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise FarkerasError(f"The code '{code}' cannot be measured: {last}")
    return float(done.stdout.split("took ")[-1])


def alternate(codes: dict[str, str], rounds: int) -> dict[str, np.ndarray]:
    """Runs several pieces of code in turns, each in a fresh process, and returns the seconds `[rounds]` of each."""
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(rounds):
        for name, code in codes.items():
            seconds[name].append(fresh_seconds(code))
    return {name: np.array(values) for name, values in seconds.items()}
