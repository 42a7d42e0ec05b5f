"""The folder benchmarks/ on Python's path, as the scripts there find the package `speed`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
