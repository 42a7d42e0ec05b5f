"""Writes the tables and the picture of docs/speed.md: `python benchmarks/speed_page.py`.

They are made from `results.json`, the file of `make bench`, and from `results_gpu.json`, that of `gpu.py`. A test fails
if the page disagrees with a file.
"""

import sys

from farkeras.errors import FarkerasError
from farkeras.files import write_text
from speed.machine import ROOT
from speed.report import PAGE, PICTURE, page_with, picture, read_page
from speed.results import read_results

RESULTS, GPU_RESULTS = ROOT / "benchmarks" / "results.json", ROOT / "benchmarks" / "results_gpu.json"


def main() -> None:
    try:
        results = read_results(RESULTS)
        page = page_with(page_with(read_page(), results), read_results(GPU_RESULTS))
    except FarkerasError as error:
        sys.exit(f"error: {error}")
    write_text(PICTURE, picture(results))
    write_text(PAGE, page)


if __name__ == "__main__":
    main()
