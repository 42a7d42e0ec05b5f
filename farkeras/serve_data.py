"""Makes training examples for a run on another machine: `python -m farkeras.serve_data --host=NAME`.

For where reading, decoding and augmentation keep the accelerators waiting (`data_wait` in a run's metrics) and more
cores are to be had elsewhere:

1. On each input machine: `python -m farkeras.serve_data --host=NAME`, NAME being what the training machine calls it.
   The machine needs the same farkeras and TensorFlow and sees the images under the same paths: a shared disk, or a copy
   of a packed folder (`python -m farkeras.pack`) at the same place.
2. On the training machine, add `--data_service=grpc://NAME1:5050,grpc://NAME2:5050` to the command of the run.

The run sees the same examples in the same order, to the bit, whatever the number of machines. It may be stopped and
continued with other machines, or without any. For a machine that has ended a run waits: stop the run, by SIGKILL if it
must be, and start it again.

An example crosses the network as float32: 0.5 MB at 224 x 192, so 1,000 images/s are 4 Gbit/s. The protocol neither
encrypts nor asks who calls, and what a caller sends is run: serve inside a network that you trust. Ctrl-C ends it.
"""

import os
import socket
import sys
import threading

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.native_logs import silence_native_logs


def define(flags: Flags) -> None:
    flags.text("host", socket.gethostname(), "Name by which training machines reach this one.")
    flags.integer("port", 5050, "Port of the dispatcher; the worker has the next one.", 1, 65534)


def main(options: Flags) -> None:
    """Serves until it is stopped."""
    silence_native_logs()
    import tensorflow as tf

    from farkeras.data.service import start_server

    tf.config.set_visible_devices([], "GPU")  # a run may have it
    server = start_server(options.host, options.port)
    console = make_console()
    console.print(f"Serving: train with --data_service={server.address}")
    try:
        threading.Event().wait()  # the server's own join() would not hear Ctrl-C
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr, flush=True)
        os._exit(130)  # a server's own end waits for whoever still asks it; there is nothing to lose here


if __name__ == "__main__":
    run_command(define, main)
