"""Puts load on a server and shows what it bears.

    python serving/load_test.py --images=data/celeba_procedural/img_align_celeba --callers=1,4,16 --rates=50,100 \
        --compare=runs/demo/export/saved_model/1

speaks gRPC to TF Serving or `python -m farkeras.serve`. Each of --callers sends its next request when the last one is
answered; --rates are requests a second that come at random times, whether or not the server keeps up, their latency
counted from when they were due. --compare runs the same version in this process, by turns, and gives the ratio.
"""

from pathlib import Path

from absl import flags
from rich.console import Console

from farkeras.cli.run import run
from farkeras.errors import FarkerasError
from farkeras.native_logs import silence_native_logs

TARGET = flags.DEFINE_string("target", "localhost:8500", "host:port of gRPC.")
MODEL_NAME = flags.DEFINE_string("model_name", "farkeras", "Name of the model at the server.")
IMAGES = flags.DEFINE_string("images", None, "Folder with JPEG or PNG files; 64 of them are sent.", required=True)
CALLERS = flags.DEFINE_list("callers", ["1", "4", "16"], "Numbers of callers, a step for each.")
RATES = flags.DEFINE_list("rates", [], "Requests a second, a step for each.")
SECONDS = flags.DEFINE_float("seconds", 20.0, "Of each step.", lower_bound=1.0)
IMAGES_PER_REQUEST = flags.DEFINE_integer("images_per_request", 1, "Images in each request.", lower_bound=1)
COMPARE = flags.DEFINE_string("compare", "", "Folder of the version that is served, to be run in this process, too.")
INTRA_OP = flags.DEFINE_integer("tensorflow_intra_op_parallelism", 0, "Of --compare, as the server has it.", 0)
INTER_OP = flags.DEFINE_integer("tensorflow_inter_op_parallelism", 0, "Of --compare, as the server has it.", 0)
OUTPUT = flags.DEFINE_string("output", "", "Folder to write load.json and load.png to.")


def main(argv: list[str]) -> None:
    silence_native_logs()
    from farkeras.serving import load_steps
    from farkeras.serving.servable import Parallelism

    paths = sorted(path for path in Path(IMAGES.value).glob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not paths:
        raise FarkerasError(f"--images={IMAGES.value} holds no JPEG or PNG file.")
    files = [path.read_bytes() for path in paths[:64]]
    requests, parts = load_steps.predict_requests(files, IMAGES_PER_REQUEST.value, MODEL_NAME.value)
    compare = None
    if COMPARE.value:
        parallelism = Parallelism(INTRA_OP.value, INTER_OP.value)
        compare = load_steps.in_process_comparison(Path(COMPARE.value), parts, parallelism)
    load_steps.closed_step(TARGET.value, requests, 4, 1.0, None)  # warm
    steps = [
        load_steps.closed_step(TARGET.value, requests, callers, SECONDS.value, compare)
        for callers in _numbers(CALLERS, int)
    ]
    steps += [load_steps.open_step(TARGET.value, requests, rate, SECONDS.value) for rate in _numbers(RATES, float)]
    Console(highlight=False, soft_wrap=True).print(load_steps.table(steps))
    if OUTPUT.value:
        load_steps.write(steps, Path(OUTPUT.value))


def _numbers(flag, kind: type) -> list:
    try:
        numbers = [kind(text) for text in flag.value]
        if all(number > 0 for number in numbers):
            return numbers
    except ValueError:
        pass
    raise FarkerasError(f"--{flag.name} must be numbers above 0 with commas. Received: {','.join(flag.value)}.")


if __name__ == "__main__":
    run(main)
