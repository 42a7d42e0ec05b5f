"""How often chance alone makes gaps between subgroups, and how long their bootstrap takes.

`python benchmarks/subgroup_gaps.py` draws data sets in which no subgroup differs from another: every answer is wrong
with the probability of its attribute, whoever is shown. It counts the gaps whose own interval excludes 0, and the data
sets in which a gap is clear. Then it measures the time for 20,000 images. `--people=200` draws several images of each
person, whose answers are right or wrong together.
"""

import argparse
import time

import numpy as np

from farkeras.attributes import CELEBA_PERCENT_POSITIVE
from farkeras.data.subgroups import Subgroups
from farkeras.metrics.subgroups import evaluate_subgroups


def draw(random: np.random.Generator, images: int, people: int) -> dict:
    """Draws labels, answers, subgroups and people; `images / people` images of a person are answered alike."""
    person = np.arange(images) if people == images else random.integers(people, size=images)
    shares = np.array(list(CELEBA_PERCENT_POSITIVE.values())) / 100
    labels = (random.random((people, len(shares))) < shares)[person].astype(np.int8)
    wrong = (random.random((people, len(shares))) < random.uniform(0.02, 0.15, len(shares)))[person]
    kinds = {"two": 2, "other two": 2, "three": 3}
    return {
        "labels": labels,
        "probabilities": np.where(wrong, 1 - labels, labels).astype(float),
        "attributes": list(CELEBA_PERCENT_POSITIVE),
        "subgroups": {
            name: Subgroups(tuple("abc"[:count]), random.integers(count, size=people)[person], "drawn")
            for name, count in kinds.items()
        },
        "people": None if people == images else person.astype(str),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--people", type=int, default=0, help="0: as many as images")
    options = parser.parse_args()
    people = options.people or options.images
    alone, clear, gaps = [], [], []
    for seed in range(options.draws):
        result = evaluate_subgroups(**draw(np.random.default_rng(seed), options.images, people))
        alone.append(sum(gap["ci95"][0] > 0 for gap in result["gaps"]))
        clear.append(result["num_clear"])
        gaps.append(result["num_gaps"])
    print(
        f"{options.draws} data sets of {options.images:,} images and {people:,} people, {np.mean(gaps):.0f} gaps each, "
        f"none of them true: on average {np.mean(alone):.1f} exclude 0 by their own interval; "
        f"{100 * np.mean(np.array(clear) > 0):.1f} % of the data sets have a clear gap"
    )
    large = draw(np.random.default_rng(0), 20_000, 20_000)
    begin = time.perf_counter()
    evaluate_subgroups(**large)
    print(f"20,000 images, 40 attributes, 3 names, 1,000 resamples: {time.perf_counter() - begin:.1f} s")


if __name__ == "__main__":
    main()
