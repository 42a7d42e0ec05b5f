"""Measures what the shipped mask weights do for MGMTN on few images: `python benchmarks/mask_start.py FACES WORKDIR`.

FACES are the procedural faces of `make demo-mgmtn` with their keypoints. Of their training split, the first 500 images
are used. Each seed trains configs/demo_mgmtn.flags twice, with `mask_weights` none and shipped; everything else is the
same, the order of the images and the other initial weights included. The figures are those of the test split.
"""

import argparse
import os
from pathlib import Path

import numpy as np

import farkeras
from farkeras.metrics.history import read_history

STARTS = ("none", "shipped")
METRICS = {"mask IoU": "mean_mask_iou", "balanced": "mean_balanced_accuracy", "AUC": "mean_roc_auc"}


def first_images(faces: Path, folder: Path, number: int) -> None:
    """Makes a data set in CelebA's files of the first training images and all validation and test images of another."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = [line.split() for line in (faces / "list_eval_partition.txt").read_text().splitlines()]
    training = [name for name, split in listed if split == "0"][:number]
    kept = {name for name, split in listed if split != "0"} | set(training)
    _, names, *rows = (faces / "list_attr_celeba.txt").read_text().splitlines()
    rows = [row for row in rows if row.split()[0] in kept]
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(len(rows)), names, *rows]) + "\n")
    lines = [f"{name} {split}" for name, split in listed if name in kept]
    (folder / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    for name in ("img_align_celeba", "keypoints", "synthesize.json"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(os.path.abspath(faces / name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faces", type=Path, help="folder of the procedural faces")
    parser.add_argument("workdir", type=Path, help="folder of the runs; a second call continues them")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the paired runs")
    parser.add_argument("--images", type=int, default=500, help="number of training images")
    options = parser.parse_args()
    data = options.workdir / "faces"
    first_images(options.faces, data, options.images)
    values: dict[str, list[list[float]]] = {start: [] for start in STARTS}
    for seed in options.seeds:
        for start in STARTS:
            run = options.workdir / f"{start}_{seed}"
            settings = {"seed": seed, "mask_weights": start, "data_dir": str(data), "eval_every_epochs": 2.0}
            farkeras.train_and_evaluate(farkeras.load_config("demo_mgmtn", **settings), run)
            evaluation = farkeras.evaluate_run(run).evaluation
            first = next(line["validation"] for line in read_history(run / "metrics.jsonl") if "validation" in line)
            values[start].append([first["mean_mask_iou"], *(evaluation[name] for name in METRICS.values())])
            print(f"{start} {seed}", *(f"{100 * value:.2f}" for value in values[start][-1]), flush=True)
    print("| `mask_weights` | IoU, first validation | " + " | ".join(METRICS) + " |\n|---|---|" + "---|" * len(METRICS))
    for start in STARTS:
        spread = zip(np.mean(values[start], 0), np.std(values[start], 0, ddof=1), strict=True)
        print(f"| {start} | " + " | ".join(f"{100 * mean:.2f} ± {100 * std:.2f}" for mean, std in spread) + " |")
    print("Differences in points, by seed (shipped - none):")
    for seed, row in zip(options.seeds, 100 * np.subtract(values["shipped"], values["none"]), strict=True):
        print(f"  {seed}: " + ", ".join(f"{name} {value:+.2f}" for name, value in zip(METRICS, row[1:], strict=True)))


if __name__ == "__main__":
    main()
