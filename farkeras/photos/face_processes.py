"""Worker processes that find faces in many images; each has its own face finder."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import ModuleType
from typing import cast

from farkeras.errors import FarkerasError
from farkeras.photos.face_landmarkers import check_face_finder, load_face_finder


@contextmanager
def face_processes(count: int, again: str) -> Iterator[ProcessPoolExecutor]:
    """Starts a pool of processes that find faces.

    If the block raises an exception, each process only finishes its current task.

    Args:
        count: Number of processes; each takes about 130 MB.
        again: What happens when the same command is started again, for the error message after a process died.

    Yields:
        The pool.

    Raises:
        FarkerasError: MediaPipe or its model file is missing, or a process died.
    """
    check_face_finder()  # in the parent, so that the log line of a download is seen
    # "spawn", because a fork copies the locks of all threads of the caller.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_start_process) as pool:
        try:
            pool.submit(load_face_finder).result()  # raises here if MediaPipe cannot be loaded
            yield pool
        except BrokenProcessPool:
            raise FarkerasError(
                "A process that looks for faces died, possibly because memory ran out; start the same command again "
                f"with fewer `workers`: {again}."
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_process() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent stops its children
    # A killed parent cannot stop its children, which would wait forever.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # MediaPipe imports both if they are installed, for features that farkeras does not use: 10 s, 650 MB per process.
    for unused in ("tensorflow", "jax"):
        sys.modules.setdefault(unused, cast(ModuleType, None))  # None: `import` raises ImportError


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)
