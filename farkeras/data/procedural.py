"""Folders of drawn faces, which stay known as such."""

import os

from farkeras.data.examples import folder_of

SETTINGS_FILE = "synthesize.json"
"""What `farkeras.synthetic` writes beside the faces that it draws: its settings."""


def is_procedural(data_dir: str | os.PathLike) -> bool:
    """Whether the folder holds drawn faces, of which no figure may be read as one of CelebA's or LFWA's."""
    return (folder_of(data_dir) / SETTINGS_FILE).is_file()
