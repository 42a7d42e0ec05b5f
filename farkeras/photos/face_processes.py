"""Processes that have a face finder each, for work on many images."""

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
    """Processes that have their face finder; left by an exception, they do no more than the task at hand.

    Args:
        count: How many; about 130 MB each.
        again: What the same command does when it is started again, for the message of a process that died.

    Raises:
        FarkerasError: MediaPipe or its model file is missing, or a process died.
    """
    check_face_finder()  # here a download's line is seen; the processes may have no screen
    # "spawn", since a fork copies the locks of whatever threads the caller has.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_start_process) as pool:
        try:
            pool.submit(load_face_finder).result()  # the place to learn that MediaPipe is not installed
            yield pool
        except BrokenProcessPool:
            raise FarkerasError(
                "A process that looks for faces died, perhaps for want of memory; start the same command again, with "
                f"fewer `workers`: {again}."
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_process() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends the others
    # A killed parent ends nobody, and its pool's processes would wait for ever.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # MediaPipe imports both if they are there, for parts of it that are not used: 10 s and 650 MB a process.
    for unused in ("tensorflow", "jax"):
        sys.modules.setdefault(unused, cast(ModuleType, None))  # None: `import` raises ImportError


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)
