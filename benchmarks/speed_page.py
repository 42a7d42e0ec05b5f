"""Writes the table and the picture of docs/speed.md from benchmarks/results.json: `python benchmarks/speed_page.py`.

A test fails if page and file disagree. `python benchmarks/speed_page.py FILE` takes another file of `make bench`.
"""

import sys
from pathlib import Path

from farkeras.errors import FarkerasError
from farkeras.files import write_text
from speed.machine import ROOT
from speed.report import PAGE, PICTURE, page_with, picture, read_page
from speed.results import read_results

RESULTS = ROOT / "benchmarks" / "results.json"


def main() -> None:
    try:
        results = read_results(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS)
        page = page_with(read_page(), results)
    except FarkerasError as error:
        sys.exit(f"error: {error}")
    write_text(PICTURE, picture(results))
    write_text(PAGE, page)


if __name__ == "__main__":
    main()
