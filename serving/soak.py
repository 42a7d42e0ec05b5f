"""A long load on the local server with hot swaps, hostile requests, SIGTERM and SIGKILL: `make soak`.

Two small networks with random weights are exported and published in turn. Every good request must get the numbers of
the version that answers it, every hostile one its proper code; the memory must stay bounded, SIGTERM must lose nothing,
and after SIGKILL the next server must answer within 10 seconds. The exit code is 1 where something does not hold.
"""

import tempfile
from pathlib import Path

from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.errors import FarkerasError
from farkeras.native_logs import silence_native_logs


def define(flags: Flags) -> None:
    flags.path("images", "Folder with JPEG files; 64 of them are sent.", required=True)
    flags.integer("requests", 20000, "Number of good requests.", 1)
    flags.integer("hostile", 500, "Number of hostile requests between them.", 0)
    flags.number("swap_seconds", 5.0, "Seconds between new versions.", 0.1)


def main(options: Flags) -> int:
    silence_native_logs()
    from loadtest.small_models import export_small_models
    from loadtest.soak import Models, soak

    files = [path.read_bytes() for path in sorted(Path(options.images).glob("*.jpg"))[:64]]
    if not files:
        raise FarkerasError(f"`images={options.images}` holds no JPEG file.")
    with tempfile.TemporaryDirectory() as folder:
        models = Models(export_small_models(Path(folder)), files, Path(folder) / "versions")
        findings = soak(models, options.requests, options.hostile, options.swap_seconds)
    print("\n".join(findings.lines()))
    return 1 if findings.failures else 0


if __name__ == "__main__":
    run_command(define, main)
