"""Measures on a GPU the rows that Keras on JAX can run: `python benchmarks/gpu.py --output=FILE`.

It needs `jax[cuda12]`, and for `gpu_train` also PyTorch with CUDA, in the environment of farkeras. The file has the
same form as that of `make bench`, with the name of the card. A CPU can try the command with `--batch_size=2 --rounds=1
--image_size 64 64 --backbone=ResNetTiny`.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from farkeras.errors import FarkerasError
from speed.machine import commit, describe_machine, load_average, versions
from speed.measure import IMAGE_SIZE, figure, found
from speed.ratios import AT_MOST, RATIOS, median_with_interval
from speed.report import line_of
from speed.results import Results, in_order, write_results
from speed.rows import TIMES, Found, find_rows
from speed.sides import Measured, Side, alone, take_turns

CALLS = 6  # in a turn


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="file of the results")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each side; 20 or more for figures to keep")
    parser.add_argument("--batch_size", type=int, default=256, help="images in a call")
    parser.add_argument("--image_size", type=int, nargs=2, help="height and width, by default those of the flagfiles")
    parser.add_argument("--backbone", help="backbone, by default those of the flagfiles")
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace, device: str) -> Iterator[list[Found]]:
    """Measures all rows on a device of PyTorch's name, and yields them as they are found."""
    given = {"image_size": options.image_size, "backbone": options.backbone}
    changes = {name: value for name, value in given.items() if value}

    def turns(function: str, flagfile: str, beside: Sequence[Side] = (), **kinds: dict[str, Any]) -> list[Measured]:
        common = {"flagfile": flagfile, "batch_size": options.batch_size, **changes}
        sides = [
            Side(name, f"speed.jax_models:{function}", {"bare": False, **common, **kind}, CALLS)
            for name, kind in kinds.items()
        ]
        return list(take_turns([*sides, *beside], options.rounds, together=True).values())

    sides: dict[str, Any] = {"ours": {}, "bare": {"bare": True}}
    note = "PyTorch is not installed. Install torch with CUDA."
    beside = pytorch(options, changes, device)
    try:
        ours, bare, *torch = turns("train_step", "celeba", beside, **sides)
    except FarkerasError as error:
        if not beside:
            raise
        ours, bare, *torch = turns("train_step", "celeba", **sides)  # the other rows do not need PyTorch
        note = str(error)
    yield [
        found("far_amtn_train", ours.times, bare.times, *milliseconds(ours=ours, bare=bare)),
        found("far_amtn_memory", np.array(ours.memory), np.array(bare.memory)),
        found("gpu_train", ours.times, torch[0].times, *milliseconds(ours=ours, PyTorch=torch[0]))
        if torch
        else Found(find_rows(["gpu_train"])[0], note=note),
    ]
    for row, function, flagfile in (
        ("far_amtn_forward", "forward", "celeba"),
        ("mgmtn_forward", "forward", "celeba_mgmtn"),
        ("mgmtn_train", "train_step", "celeba_mgmtn"),
    ):
        ours, bare = turns(function, flagfile, **sides)
        yield [found(row, ours.times, bare.times, *milliseconds(ours=ours, bare=bare))]
    private = {"groups": 40, "private": True}
    forty, one, blocks = turns("forward", "celeba", forty={"groups": 40}, one={"groups": 1}, private=private)
    ratio = figure("40 private blocks against one group", RATIOS[AT_MOST](blocks.times, one.times), TIMES)
    yield [found("groups_forward", forty.times, one.times, ratio)]


def pytorch(options: argparse.Namespace, changes: dict[str, Any], device: str) -> list[Side]:
    """Returns PyTorch's side of `gpu_train`, or nothing where PyTorch is not installed."""
    if not find_spec("torch"):
        return []
    size = changes.get("image_size", IMAGE_SIZE)
    arguments = {"precision": "bfloat16", "batch_size": options.batch_size, "image_size": size, "device": device}
    return [Side("PyTorch", "speed.pytorch:training", arguments, CALLS)]


def milliseconds(**sides: Measured) -> list:
    """Returns the time of a call of each side."""
    return [figure(name, median_with_interval(1e3 * side.times), "ms") for name, side in sides.items()]


def card() -> dict[str, str]:
    """Returns the platform and the name of the device that JAX uses."""
    import jax

    device = jax.devices()[0]
    return {"platform": device.platform, "card": device.device_kind}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    os.environ |= {"KERAS_BACKEND": "jax", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    began, date, load, rows = time.perf_counter(), datetime.now(UTC), load_average(), list[Found]()
    try:
        device = alone("the device", "gpu:card")  # in a process of its own, because JAX does not release a GPU's memory
        for new in measure(options, "cuda" if device["platform"] == "gpu" else "cpu"):
            print(*map(line_of, new), sep="\n", flush=True)
            rows += new
            results = Results(
                date.strftime("%Y-%m-%d %H:%M"),
                commit(),
                {**describe_machine(), **device},
                versions(),
                options.rounds,
                round((time.perf_counter() - began) / 60, 1),
                {"start": load, "end": load_average()},
                in_order(rows),
            )
            write_results(results, options.output)  # after each row, because the time on a GPU may end
    except FarkerasError as error:
        sys.exit(f"error: {error}")
    print(f"Wrote {options.output}.")


if __name__ == "__main__":
    main()
