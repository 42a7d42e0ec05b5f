"""Measures how many of the labels that an audit lists are wrong: `python benchmarks/label_audit.py FACES AUDIT`.

FACES are procedural faces with wrong labels, drawn by farkeras.synthesize with --label_noise, and AUDIT is the workdir
of farkeras.audit_labels. The true labels are those of the same seed without noise.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.synthetic import sample_attributes

FIRST = (100, 300, 1000)


def wrong_labels(rows: Sequence[dict[str, str]], seed: int) -> np.ndarray:
    """Returns which rows of `label_audit.csv` give a wrong label of a face drawn with this seed: bool `[N]`."""
    true = {
        image: sample_attributes(np.random.default_rng([seed, int(Path(image).stem) - 1]))
        for image in {row["image"] for row in rows}
    }
    return np.array([true[row["image"]][row["attribute"]] != (row["given"] == "1") for row in rows], bool)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path)
    parser.add_argument("audit", type=Path)
    given = parser.parse_args()
    settings = json.loads((given.faces / "synthesize.json").read_text())
    if settings["layout"] != "celeba":
        parser.error("the faces must have CelebA's layout")
    with open(given.audit / "label_audit.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    summary = json.loads((given.audit / "label_audit.json").read_text())
    wrong, total = wrong_labels(rows, settings["seed"]), settings["label_noise"] * summary["num_images"]
    for first in FIRST:
        print(f"Of the first {first:,} labels of the list, {wrong[:first].mean():.1%} are wrong.")
    print(
        f"The list has {len(rows):,} labels, of which {wrong.mean():.1%} are wrong. They are "
        f"{wrong.sum() / (total * len(CELEBA_ATTRIBUTES)):.1%} of the wrong labels in {summary['num_images']:,} images."
    )
    rates = [rate["error_rate"] for rate in summary["attributes"].values() if rate["error_rate"] is not None]
    print(
        f"The estimated shares of wrong labels are {100 * np.min(rates):.1f} to {100 * np.max(rates):.1f} %, with a "
        f"median of {100 * np.median(rates):.1f} %; the true share is {100 * settings['label_noise']:.1f} %."
    )


if __name__ == "__main__":
    main()
