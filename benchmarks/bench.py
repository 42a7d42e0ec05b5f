"""Measures every row of the table of goals, side by side: `make bench`, or `python benchmarks/bench.py`.

    python benchmarks/bench.py --only infer_float32_b1 train_loop --rounds 5

prints some rows only, and writes no file unless `--output` names one. The other rows of that file stay, with the date
of their measurement. `benchmarks/README.md` says what each row means.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import farkeras
from farkeras.errors import FarkerasError
from speed.accuracy import LEAST_FACES, allowed_forms, measure_accuracy, summary
from speed.machine import ROOT, busy_message, commit, cores, describe_machine, load_average, versions
from speed.measure import ON_A_GPU, Options, groups_for
from speed.report import line_of
from speed.results import Results, in_order, read_results, write_results
from speed.rows import ROWS, Found, find_rows

RESULTS = ROOT / "benchmarks" / "results.json"
FACES, UNSEEN_FACES = ROOT / "data" / "celeba_procedural", ROOT / "data" / "celeba_unseen"
RUN = ROOT / "runs" / "demo_pretrained"
NEED_FACES = {"train_loop", "pipeline_demo", "pipeline_celeba"}
NEED_ACCURACY = {"infer_best_b1", "infer_best_b32", "mobile_int8"}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="KEY", help=f"rows to measure: {', '.join(r.key for r in ROWS)}")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each side; 20 or more for figures to keep")
    parser.add_argument("--output", type=Path, help=f"file of the results; without --only, by default {RESULTS.name}")
    parser.add_argument(
        "--run", type=Path, help="fine-tuned run that shows what int8 loses; by default that of make demo-pretrained"
    )
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1. Received: {options.rounds}.")
    return options


def measure(keys: set[str], rounds: int, run: Path | None) -> Results:
    """Measures rows, prints each when it is found, and returns all.

    Args:
        keys: Keys of the rows.
        rounds: Number of turns of each side.
        run: Workdir of a fine-tuned run, or None for that of `make demo-pretrained`, if it is there.
    """
    began, date, load = time.perf_counter(), datetime.now(UTC), load_average()
    warn(load[0], "before the measurement")
    if keys & NEED_FACES:
        farkeras.draw_faces(farkeras.FaceSettings(6000), FACES, cores())  # those of make demo
    accuracy: dict[str, Any] = {}
    if keys & NEED_ACCURACY:
        if run or RUN.is_dir():
            farkeras.draw_faces(farkeras.FaceSettings(LEAST_FACES, seed=5), UNSEEN_FACES, cores())
            accuracy = measure_accuracy(run or RUN, UNSEEN_FACES)
            print(summary(accuracy), flush=True)
        else:
            print(f"{RUN.relative_to(ROOT)} is missing, so it is not known what int8 loses. Run make demo-pretrained.")
    options = Options(rounds, FACES, allowed_forms(accuracy), summary(accuracy))
    rows: list[Found] = []
    for covered, group in groups_for(keys):
        try:
            rows += [found for found in group(options) if found.row.key in keys]
        except FarkerasError as error:  # the other rows can still be measured
            rows += [Found(row, note=str(error)) for row in find_rows(set(covered) & keys)]
        print(*(line_of(found) for found in rows if found.row.key in covered), sep="\n", flush=True)
    rows += [Found(row, note=why_not(row.key)) for row in ROWS if row.key not in {f.row.key for f in rows}]
    after = load_average()
    minutes = round((time.perf_counter() - began) / 60, 1)
    print(f"{minutes} minutes; the load average was {load[0]} at the start and {after[0]} at the end.")
    return Results(
        date.strftime("%Y-%m-%d %H:%M"),
        commit(),
        describe_machine(),
        versions(),
        rounds,
        minutes,
        {"start": load, "end": after},
        in_order(rows),
        accuracy,
    )


def why_not(key: str) -> str:
    """Says why a row was not measured; "" if `--only` left it out."""
    return "This row needs a GPU; benchmarks/gpu.py measures it." if key in ON_A_GPU else ""


def warn(load: float, when: str) -> None:
    """Prints a warning on stderr if the machine is busy."""
    if message := busy_message(load, when):
        print(f"warning: {message}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    try:
        keys = {row.key for row in (find_rows(options.only) if options.only else ROWS)}
        output = options.output or (None if options.only else RESULTS)
        earlier = read_results(output) if options.only and output and output.exists() else None
        if earlier:
            earlier.check_machine(describe_machine())
        results = measure(keys, options.rounds, options.run)
        if output:
            write_results(results.with_earlier(earlier) if earlier else results, output)
            print(f"Wrote {output}.")
    except FarkerasError as error:
        sys.exit(f"error: {error}")
    failed = [f.row.key for f in results.found if not f.ratio and f.row.key in keys - set(ON_A_GPU)]
    if failed:
        sys.exit(f"error: Not measured: {', '.join(failed)}; the reasons are above.")


if __name__ == "__main__":
    main()
