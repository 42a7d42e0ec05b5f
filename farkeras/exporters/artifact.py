"""An export appears complete and with the model's numbers, or does not appear."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from farkeras.errors import FarkerasError
from farkeras.exporters.parity import ParityError
from farkeras.files import as_path, reason, written_aside


class Exported(NamedTuple):
    """What an export wrote.

    Attributes:
        path: The folder.
        report: The result of `farkeras.exporters.parity.compare_with_reference`; None without a comparison.
    """

    path: Path
    report: dict | None


@contextmanager
def new_artifact(target: str | os.PathLike) -> Iterator[Path]:
    """Gives a new folder in which to write and measure an export; at the end it becomes `target`.

    After a `ParityError` the folder is kept as `<target>.rejected`, for inspection; TF Serving loads only folders whose
    names are numbers. After any other error nothing is left behind.

    Raises:
        FarkerasError: `target` exists, or it cannot be written.
        ParityError: As the block raised it, with the folder named.
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
    """Raises a `FarkerasError` where `target` exists; call it before minutes of work."""
    if as_path(target).exists():
        raise FarkerasError(f"{target} exists, and an export replaces nothing: remove it, or set another `output`.")


@contextmanager
def writing(target: str | os.PathLike) -> Iterator[None]:
    """Makes a `FarkerasError` of a failed write, see `farkeras.files.reason`."""
    try:
        yield
    except Exception as error:
        if not (why := reason(error)):
            raise
        raise FarkerasError(f"Cannot write the export {target} ({why}). Nothing was left behind.") from None
