"""A long load on the local server with hot swaps, hostile requests, SIGTERM and SIGKILL: `make soak`.

Two small networks with random weights are exported and published in turn. Every good request must get the numbers of
the version that answers it, every hostile one its proper code; the memory must stay bounded, SIGTERM must lose nothing,
and after SIGKILL the next server must answer within 10 seconds. Exit code 1 where something does not hold.
"""

import tempfile
from pathlib import Path

from absl import flags

from farkeras.cli.run import run
from farkeras.errors import FarkerasError
from farkeras.native_logs import silence_native_logs

IMAGES = flags.DEFINE_string("images", None, "Folder with JPEG files; 64 of them are sent.", required=True)
REQUESTS = flags.DEFINE_integer("requests", 20000, "Good requests.", lower_bound=1)
HOSTILE = flags.DEFINE_integer("hostile", 500, "Hostile requests between them.", lower_bound=0)
SWAP_SECONDS = flags.DEFINE_float("swap_seconds", 5.0, "Between new versions.", lower_bound=0.1)


def main(argv: list[str]) -> int:
    silence_native_logs()
    from farkeras.serving.soak import Models, soak
    from farkeras.serving.soak_models import export_small_models
    from farkeras.serving.soak_report import lines

    files = [path.read_bytes() for path in sorted(Path(IMAGES.value).glob("*.jpg"))[:64]]
    if not files:
        raise FarkerasError(f"--images={IMAGES.value} holds no JPEG file.")
    with tempfile.TemporaryDirectory() as folder:
        exports = export_small_models(Path(folder))
        findings = soak(
            Models(exports, files, Path(folder) / "versions"), REQUESTS.value, HOSTILE.value, SWAP_SECONDS.value
        )
    print("\n".join(lines(findings)))
    return 1 if findings.failures else 0


if __name__ == "__main__":
    run(main)
