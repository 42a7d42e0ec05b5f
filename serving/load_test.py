"""Measures the throughput, latencies and answers of a server under load.

    python serving/load_test.py --images=data/celeba_procedural/img_align_celeba --callers=1,4,16 --rates=50,100 \\
        --compare=runs/demo/export/saved_model/1

The command sends gRPC requests to TF Serving or `python -m farkeras.serve`. Each of the --callers sends its next
request when its last one is answered. --rates are requests per second, sent at random times whether or not the server
keeps up; their latency counts from the time at which they were due. --compare runs the same version in this process, in
turns with the server, and gives the ratio of the throughputs.
"""

from pathlib import Path

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.errors import FarkerasError
from farkeras.native_logs import silence_native_logs


def define(flags: Flags) -> None:
    flags.text("target", "localhost:8500", "Address of the gRPC server, as host:port.")
    flags.text("model_name", "farkeras", "Name of the model on the server.")
    flags.path("images", "Folder with JPEG or PNG files; the first 64 are sent.", required=True)
    flags.texts("callers", ["1", "4", "16"], "Numbers of concurrent callers; each number is one step.")
    flags.texts("rates", [], "Requests per second; each rate is one step.")
    flags.number("seconds", 20.0, "Duration of each step in seconds.", 1.0)
    flags.integer("images_per_request", 1, "Number of images in each request.", 1)
    flags.path("compare", "Folder of the served version, to run it in this process as well.")
    flags.integer("tensorflow_intra_op_parallelism", 0, "The server's value of this flag, for --compare.", 0)
    flags.integer("tensorflow_inter_op_parallelism", 0, "The server's value of this flag, for --compare.", 0)
    flags.path("output", "Folder for load.json and load.png.")


def main(options: Flags) -> None:
    silence_native_logs()
    from loadtest import steps

    paths = sorted(path for path in Path(options.images).glob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not paths:
        raise FarkerasError(f"`images={options.images}` contains no JPEG or PNG file. Expected at least one.")
    files = [path.read_bytes() for path in paths[:64]]
    callers, rates = options.integers("callers", 1) if options.callers else [], _rates(options.rates)
    requests, parts = steps.predict_requests(files, options.images_per_request, options.model_name)
    compare = None
    if options.compare:
        threads = options.tensorflow_intra_op_parallelism, options.tensorflow_inter_op_parallelism
        compare = steps.in_process_comparison(Path(options.compare), parts, *threads)
    steps.closed_step(options.target, requests, 4, 1.0, None)  # warm up the server
    done = [steps.closed_step(options.target, requests, number, options.seconds, compare) for number in callers]
    done += [steps.open_step(options.target, requests, rate, options.seconds) for rate in rates]
    make_console().print(steps.table(done))
    if options.output:
        steps.write(done, Path(options.output))


def _rates(texts: list[str]) -> list[float]:
    try:
        rates = [float(text) for text in texts]
        if all(rate > 0 for rate in rates):
            return rates
    except ValueError:
        pass
    raise FarkerasError(f"`rates` must be numbers above 0, separated by commas. Received: {','.join(texts)}.")


if __name__ == "__main__":
    run_command(define, main)
