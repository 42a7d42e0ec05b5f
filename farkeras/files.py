"""Files that appear complete or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_aside(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write a file or folder to; it is renamed to `path` at the end.

    When the block raises, or the process dies, `path` is what it was before. A file replaces a file; an existing folder
    is not replaced (`OSError`).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        aside = folder / path.name
        yield aside
        os.replace(aside, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes UTF-8 text, complete or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")
