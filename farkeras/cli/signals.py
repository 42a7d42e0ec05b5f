"""Signals that stop a run: SIGTERM, as schedulers send it, and Ctrl-C."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farkeras.training.preemption import StopRequest


@contextmanager
def stop_on_signals(stop: "StopRequest") -> Iterator[None]:
    """Makes the request `stop` at the first SIGTERM or Ctrl-C in the block, if the run heeds it already.

    Otherwise, and at the second signal, the process ends as usual, with exit code 143 for SIGTERM and 130 for Ctrl-C.
    These are 128 plus the number of the signal, as for any process that a signal has ended. A thread receives the
    signals, because the main thread does not run Python code while TensorFlow computes. In another thread than the
    main one, the block changes nothing, because only the main one may set the handlers of signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    ended = threading.Event()

    def interrupt(number: int, _: object) -> None:
        if not stop.heeded:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    def listen() -> None:
        for count, (number,) in enumerate(iter(lambda: receiver.recv(1), b"")):
            if count:
                os._exit(128 + number)
            while not stop.heeded:  # `interrupt` ends the block, unless the training has just begun
                if ended.wait(0.1):
                    return
            stop(signal.Signals(number).name, 128 + number)

    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    wakeup = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        sender.close()
        thread.join()
        receiver.close()
