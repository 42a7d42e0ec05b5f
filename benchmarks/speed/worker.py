"""One side of a comparison in its own process, which works when it is asked and sleeps otherwise.

`speed.sides` starts it. The process builds what it measures with `FACTORY`, a function `module:name` that takes the
keyword arguments `ARGUMENTS` (JSON) and returns a function without arguments: one call to time. If calls only put work
into the queue of a device, the function has a method `wait` that returns when all of it is done. A factory that returns
anything else has done its work, and the process ends with that answer. Requests and answers are pickled on the standard
streams; everything that libraries print goes to stderr.
"""

import ctypes
import importlib
import json
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

Call = Callable[[], object]


def main() -> None:
    _end_with_the_parent()
    factory, arguments = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    module, _, name = factory.partition(":")
    build = getattr(importlib.import_module(module), name)
    imported = memory("VmRSS")
    call = build(**json.loads(arguments))
    if not callable(call):
        pickle.dump(call, answers)
        answers.flush()
        return
    call()  # traces, compiles or allocates
    call()
    _wait(call)
    pickle.dump("ready", answers)
    answers.flush()
    answer(sys.stdin.buffer, answers, call, imported)


def answer(requests: IO[bytes], answers: IO[bytes], call: Call, imported: float) -> None:
    """Answers each request, a number of calls, with `turn(call, number, imported)`, until the requests end."""
    while True:
        try:
            number = pickle.load(requests)
        except EOFError:
            return
        pickle.dump(turn(call, number, imported), answers)
        answers.flush()


def turn(call: Call, number: int, imported: float = 0.0) -> dict[str, float]:
    """Makes `number` calls after one that is not timed, because the other side has just used the processor's caches.

    A single call is long, and is timed without one before it.

    Args:
        call: What is measured.
        number: Number of timed calls.
        imported: Memory of the process after its imports, in bytes.

    Returns:
        `seconds`, the mean time of a call, and `memory` in bytes: `call.memory` if there is such an attribute, else the
        peak memory of the process during the turn beyond `imported`.
    """
    if number > 1:
        call()
        _wait(call)
    _forget_peak_memory()
    began = time.perf_counter()
    for _ in range(number):
        call()
    _wait(call)
    seconds = (time.perf_counter() - began) / number
    planned = getattr(call, "memory", None)  # on a GPU
    return {"seconds": seconds, "memory": memory("VmHWM") - imported if planned is None else planned}


def _end_with_the_parent() -> None:
    """Asks Linux to end this process when the measurement is killed; otherwise a long call would go on without it."""
    with suppress(OSError, AttributeError):  # not Linux
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _wait(call: Call) -> None:
    getattr(call, "wait", lambda: None)()


def memory(entry: str) -> float:
    """Returns the present (`VmRSS`) or peak (`VmHWM`) memory of this process in bytes; NaN where Linux is missing."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return 1024.0 * int(next(line for line in lines if line.startswith(entry)).split()[1])


def _forget_peak_memory() -> None:
    with suppress(OSError):  # not Linux
        Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main()
