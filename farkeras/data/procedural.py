"""Recognizes folders of procedural faces, so that their results are never reported as those of a real data set."""

import os

from farkeras.data.examples import folder_of

SETTINGS_FILE = "synthesize.json"
"""Name of the file in which `farkeras.synthetic` stores its settings next to the faces that it draws."""


def is_procedural(data_dir: str | os.PathLike) -> bool:
    """Says whether a folder holds procedural faces, whose metrics say nothing about CelebA or LFWA."""
    return (folder_of(data_dir) / SETTINGS_FILE).is_file()
