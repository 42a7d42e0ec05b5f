"""Tests the local server under a long load with hot swaps, hostile requests, SIGTERM and SIGKILL: `make soak`.

The test exports two small networks with random weights and publishes them in turn. Every good request must receive the
probabilities of the version that answers it, and every hostile request its proper code. The server's memory must stay
bounded. SIGTERM must lose no accepted request. After SIGKILL, the next server must answer within 10 seconds. The exit
code is 1 if a check fails.
"""

import tempfile
from pathlib import Path

from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.errors import FarkerasError
from farkeras.native_logs import silence_native_logs


def define(flags: Flags) -> None:
    flags.path("images", "Folder with JPEG files; the first 64 are sent.", required=True)
    flags.integer("requests", 20000, "Number of good requests.", 1)
    flags.integer("hostile", 500, "Number of hostile requests, sent between the good ones.", 0)
    flags.number("swap_seconds", 5.0, "Seconds between two new versions.", 0.1)


def main(options: Flags) -> int:
    silence_native_logs()
    from loadtest.small_models import export_small_models
    from loadtest.soak import Models, soak

    files = [path.read_bytes() for path in sorted(Path(options.images).glob("*.jpg"))[:64]]
    if not files:
        raise FarkerasError(f"`images={options.images}` contains no JPEG file. Expected at least one.")
    with tempfile.TemporaryDirectory() as folder:
        models = Models(export_small_models(Path(folder)), files, Path(folder) / "versions")
        findings = soak(models, options.requests, options.hostile, options.swap_seconds)
    print("\n".join(findings.lines()))
    return 1 if findings.failures else 0


if __name__ == "__main__":
    run_command(define, main)
