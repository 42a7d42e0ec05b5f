"""Makes training examples for a run on another machine: `python -m farkeras.serve_data --host=NAME`.

Use it if accelerators wait for reading, decoding and augmentation (`data_wait` in a run's metrics) and other machines
have free cores:

1. On each input machine, run `python -m farkeras.serve_data --host=NAME`, where NAME is the host name by which the
   training machine reaches it. The machine needs the same versions of farkeras and TensorFlow, and the images under the
   same paths: on a shared disk, or as a copy of a packed folder (`python -m farkeras.pack`).
2. On the training machine, add `--data_service=grpc://NAME1:5050,grpc://NAME2:5050` to the command of the run.

The examples and their order are the same, bit for bit, with any number of machines. You can stop a run and resume it
with other machines or with none. If an input machine ends, the run waits for it: stop the run, with SIGKILL if
necessary, and start it again.

Examples cross the network as float32: 0.5 MB each at 224 x 192, so 1,000 images/s need 4 Gbit/s. The protocol has no
encryption and no authentication, and the server runs code that a caller sends, so use it only in a network that you
trust. Ctrl-C ends the server.
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
    flags.text("host", socket.gethostname(), "Host name by which training machines reach this machine.")
    flags.integer("port", 5050, "Port of the dispatcher. The worker uses the next port.", 1, 65534)


def main(options: Flags) -> None:
    """Serves until it is stopped."""
    silence_native_logs()
    import tensorflow as tf

    from farkeras.data.service import start_server

    tf.config.set_visible_devices([], "GPU")  # leaves the GPU to training runs
    server = start_server(options.host, options.port)
    console = make_console()
    console.print(f"Serving: train with --data_service={server.address}")
    try:
        threading.Event().wait()  # the server's own join() does not react to Ctrl-C
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr, flush=True)
        os._exit(130)  # a regular exit would wait for the clients; the server has no state to save


if __name__ == "__main__":
    run_command(define, main)
