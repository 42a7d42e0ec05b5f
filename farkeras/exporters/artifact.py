"""Writes the folder of an export. It appears only when it is complete and has passed the comparison."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from farkeras.errors import FarkerasError
from farkeras.exporters.parity import ParityError
from farkeras.files import as_path, reason, written_aside


class Exported(NamedTuple):
    """An export that was written.

    Attributes:
        path: Folder of the export.
        report: Result of `farkeras.exporters.parity.compare_with_reference`; None without a comparison.
    """

    path: Path
    report: dict | None


@contextmanager
def new_artifact(target: str | os.PathLike) -> Iterator[Path]:
    """Gives a temporary folder in which to write and compare an export, and renames it to `target` at the end.

    After a `ParityError` the folder is kept as `<target>.rejected` for inspection. TF Serving does not load it, because
    it loads only folders whose names are numbers. After any other error nothing is left behind.

    Args:
        target: Path of the new folder.

    Yields:
        The temporary folder.

    Raises:
        FarkerasError: `target` exists, or it cannot be written.
        ParityError: The block raised it; the path of the kept folder is added to the message.
    """
    target = as_path(target)
    check_new(target)
    with writing(target), written_aside(target) as aside:
        aside.mkdir()
        try:
            yield aside
        except ParityError as error:
            rejected = target.with_name(f"{target.name}.rejected")
            shutil.rmtree(rejected, ignore_errors=True)
            os.replace(aside, rejected)
            raise ParityError(f"{error} The export is kept in {rejected}.", error.report) from None


def check_new(target: str | os.PathLike) -> None:
    """Raises a `FarkerasError` if `target` exists. Call it before work that takes minutes."""
    if as_path(target).exists():
        raise FarkerasError(f"{target} already exists and is not overwritten. Remove it, or set another `output`.")


def new_targets(export_dir: str | os.PathLike, precisions: Sequence[str], known: Sequence[str]) -> dict[str, Path]:
    """Returns precision -> path of its new folder in `export_dir`. Call it before work that takes minutes.

    Raises:
        FarkerasError: A precision is not `known`, or a folder exists.
    """
    if unknown := [name for name in precisions if name not in known]:
        raise FarkerasError(f"Unknown precision '{unknown[0]}'. Known: {', '.join(known)}.")
    targets = {precision: as_path(export_dir) / precision for precision in precisions}
    for target in targets.values():
        check_new(target)
    return targets


@contextmanager
def writing(target: str | os.PathLike) -> Iterator[None]:
    """Turns an error of a failed write into a `FarkerasError`; see `farkeras.files.reason`."""
    try:
        yield
    except Exception as error:
        if not (why := reason(error)):
            raise
        raise FarkerasError(f"Cannot write the export {target} ({why}). Nothing was left behind.") from None
