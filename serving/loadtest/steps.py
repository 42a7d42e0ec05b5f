"""Steps of the load test, and their table, JSON file and plot."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

from farkeras.files import write_text, written_aside
from farkeras.serving.servable import DEFAULT_SIGNATURE, Servable
from farkeras.wire.protos import serving_pb2 as pb
from farkeras.wire.tensors import to_proto
from loadtest.load import Load, closed_loop, grpc_caller, open_loop

ROUNDS = 5
"""Number of parts of a step. They alternate with the parts of a comparison, so that both see the same machine."""


@dataclass
class Step:
    """Step of the load test.

    Attributes:
        name: The load, such as "4 callers" or "50 requests/s".
        load: Answers of the server.
        in_process: Answers of the model's own Session in the alternating parts; None without a comparison.
        ratio: Median over the rounds of the server's throughput divided by the Session's; None without a comparison.
        is_open: Whether requests were sent at random times.
    """

    name: str
    load: Load
    in_process: Load | None = None
    ratio: float | None = None
    is_open: bool = False

    def to_dict(self) -> dict[str, object]:
        """Returns the entry of the step in `load.json`; a missing value is None."""
        values = {
            "step": self.name,
            "requests_per_second": self.load.throughput,
            **{f"p{percentile}_ms": self.load.milliseconds(percentile) for percentile in (50, 95, 99)},
            "codes": dict(self.load.codes),
            "in_process_per_second": self.in_process and self.in_process.throughput,
            "in_process_p99_ms": self.in_process and self.in_process.milliseconds(99),
            "ratio": self.ratio,
        }
        return {name: None if value != value else value for name, value in values.items()}  # NaN is not JSON


def predict_requests(files: Sequence[bytes], images: int, model: str) -> tuple[list[bytes], list[list[bytes]]]:
    """Creates requests with `images` images each, taken in turn from `files`.

    Returns:
        Serialised `PredictRequest` messages, and the image files in each of them.
    """
    parts = [[files[(start + k) % len(files)] for k in range(images)] for start in range(0, len(files), images)]
    return [predict_request(part, model) for part in parts], parts


def predict_request(files: Sequence[bytes], model: str) -> bytes:
    """Returns a serialised request with image files for the signature `serving_default` of a model."""
    request = pb.PredictRequest(model_spec=pb.ModelSpec(name=model))
    request.inputs["bytes"].CopyFrom(to_proto(np.array(list(files), object)))
    return request.SerializeToString()


def closed_step(
    address: str, requests: Sequence[bytes], callers: int, seconds: float, compare: Callable[[int, float], Load] | None
) -> Step:
    """Runs callers that wait for their answers, in turns with the comparison `compare(callers, seconds)`, if any."""
    load, in_process, ratios = Load(), Load(), []
    for _ in range(ROUNDS):
        served = closed_loop(lambda: grpc_caller(address, requests), callers, seconds / ROUNDS)
        load.add(served)
        if compare:
            compared = compare(callers, seconds / ROUNDS)
            in_process.add(compared)
            if compared.throughput:  # on a busy machine, a short round may end before the first answer
                ratios.append(served.throughput / compared.throughput)
    name = f"{callers} caller{'s' if callers > 1 else ''}"
    return Step(name, load, in_process, median(ratios)) if ratios else Step(name, load)


def open_step(address: str, requests: Sequence[bytes], rate: float, seconds: float) -> Step:
    """Sends requests at random times, whether or not the server keeps up."""
    return Step(f"{rate:g} requests/s", asyncio.run(open_loop(address, requests, rate, seconds)), is_open=True)


class InProcess:
    """Version of a model in this process, to compare with a server; see `Servable` for the arguments."""

    def __init__(self, folder: Path, intra_op: int = 0, inter_op: int = 0):
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # without the warning that `Session` is deprecated
        self._servable = Servable(folder, intra_op, inter_op)
        self._outputs = sorted(self._servable.signatures[DEFAULT_SIGNATURE].outputs)

    def probabilities(self, files: Sequence[bytes]) -> np.ndarray:
        """Returns the model's probabilities for image files, float32 `[files, attributes]`."""
        # All outputs are computed, as for a request without a filter.
        values = self._servable.run(DEFAULT_SIGNATURE, {"bytes": np.array(list(files), object)}, self._outputs)
        return values[self._outputs.index("probabilities")]


def in_process_comparison(
    folder: Path, parts: list[list[bytes]], intra_op: int = 0, inter_op: int = 0
) -> Callable[[int, float], Load]:
    """Returns the comparison for `closed_step`, which runs the same images through the version in a folder."""
    model = InProcess(folder, intra_op, inter_op)
    model.probabilities(parts[0])  # the first run is slower

    def send(number: int) -> str:
        model.probabilities(parts[number % len(parts)])
        return "OK"

    return lambda callers, seconds: closed_loop(lambda: nullcontext(send), callers, seconds)


def table(steps: Sequence[Step]) -> Table:
    """Returns a table with one row per step."""
    shown = Table(box=None)
    shown.add_column("load", no_wrap=True)
    for name in ("requests/s", "p50 ms", "p95 ms", "p99 ms"):
        shown.add_column(name, justify="right")
    shown.add_column("answers")
    if any(step.in_process for step in steps):
        for name in ("in process", "ratio"):
            shown.add_column(name, justify="right")
    for step in steps:
        percentiles = [f"{step.load.milliseconds(percentile):.1f}" for percentile in (50, 95, 99)]
        codes = ", ".join(f"{count} {code}" for code, count in sorted(step.load.codes.items()))
        row = [step.name, f"{step.load.throughput:.1f}", *percentiles, codes]
        if step.in_process:
            row += [f"{step.in_process.throughput:.1f}", f"{step.ratio:.2f}"]
        shown.add_row(*row)
    return shown


def write(steps: Sequence[Step], folder: Path) -> None:
    """Writes `load.json`, and `load.png` with the latencies of each step."""
    write_text(folder / "load.json", json.dumps([step.to_dict() for step in steps], indent=1) + "\n")
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for percentile, color in ((50, "C0"), (95, "C1"), (99, "C3")):
        for is_open in (False, True):
            places = [place for place, step in enumerate(steps) if step.is_open == is_open]
            heights = [steps[place].load.milliseconds(percentile) for place in places]
            label = f"p{percentile}" if is_open == steps[0].is_open else None
            axes.plot(places, heights, "o-", color=color, label=label)
    axes.set_xticks(range(len(steps)), [f"{step.name}\n{step.load.throughput:.0f}/s" for step in steps])
    axes.margins(x=0.1)
    axes.set_ylabel("latency in milliseconds")
    axes.set_yscale("log")
    axes.legend()
    with written_aside(folder / "load.png") as aside:
        figure.savefig(aside, dpi=120)
