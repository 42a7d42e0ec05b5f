"""Measures what the connection of two workers costs in each step, with two processes on this machine.

    python benchmarks/two_workers.py --flagfile=configs/demo.flags

Each process has a core of its own. In turns, two processes train together on batches of the flagfile's size, or each
on its own on batches of half that size, which is the share of a worker. The quotient of both times of a step is what
the workers pay for adding up their gradients and for waiting for each other. On one machine there is no network:
`benchmarks/scaling.py` computes what a link between machines adds.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from farkeras.flagfiles import read_flagfile
from farkeras.metrics.history import read_history

WARM_UP = 2
"""Records of the metrics file that are left out: the first calls compile the step."""


def places() -> list[str]:
    """Returns `TF_CONFIG` of two workers on this machine."""
    with socket.create_server(("", 0)) as one, socket.create_server(("", 0)) as two:
        workers = [f"localhost:{server.getsockname()[1]}" for server in (one, two)]
    tasks = ({"type": "worker", "index": index} for index in range(2))
    return [json.dumps({"cluster": {"worker": workers}, "task": task}) for task in tasks]


def milliseconds(flagfile: str, batch_size: int, epochs: float, together: bool) -> float:
    """Trains in two processes, each on a core of its own, and returns the median time of a step of the first."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "farkeras.train", f"--flagfile={flagfile}", f"--workdir={folder}/{index}"),
                    *(f"--batch_size={batch_size}", f"--epochs={epochs}", f"--eval_every_epochs={epochs}"),
                ],
                env=os.environ | {"TF_CONFIG": place if together else ""},
                preexec_fn=lambda core=cores[index]: os.sched_setaffinity(0, {core}),
                stdout=subprocess.DEVNULL,
            )
            for index, place in enumerate(places())
        ]
        if any([process.wait() for process in processes]):
            raise SystemExit("A training run failed; its message is above.")
        records = [record for record in read_history(Path(folder, "0/metrics.jsonl")) if "loss" in record]
    return 1e3 * statistics.median(1 / record["steps_per_second"] for record in records[WARM_UP:])


def main() -> None:
    """Measures in turns and prints both medians and their quotient."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flagfile", required=True, help="Recipe; its data must exist.")
    parser.add_argument("--epochs", type=float, default=1.0, help="Epochs of each run.")
    parser.add_argument("--rounds", type=int, default=5, help="Number of turns.")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("This measurement needs two cores.")
    size = read_flagfile(options.flagfile).batch_size
    pairs = []
    for turn in range(options.rounds):
        # A worker alone takes its share of the batch; an epoch then has twice as many steps.
        alone = milliseconds(options.flagfile, size // 2, options.epochs / 2, together=False)
        together = milliseconds(options.flagfile, size, options.epochs, together=True)
        pairs.append((alone, together))
        print(f"turn {turn + 1}: alone {alone:.1f} ms, together {together:.1f} ms, {together / alone:.3f}", flush=True)
    ratios = sorted(together / alone for alone, together in pairs)
    alone, together = (statistics.median(values) for values in zip(*pairs, strict=True))
    median = statistics.median(ratios)
    print(
        f"A step of {size} images in two processes: {together:.1f} ms; of {size // 2} images in one: {alone:.1f} ms. "
        f"Quotient: {median:.2f}, median of {len(ratios)} turns ({ratios[0]:.2f} to {ratios[-1]:.2f})."
    )


if __name__ == "__main__":
    main()
