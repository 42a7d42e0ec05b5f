"""Measures ways of fine-tuning a pre-trained backbone on few images: `python benchmarks/fine_tuning.py FACES WORKDIR`.

FACES are procedural faces, such as those of `make demo`. A table of 500 training, 250 validation and 500 test images is
made of them. Each recipe changes configs/own_small.flags, at 96 x 80 pixels, and has the same number of epochs, without
`patience`. The figures are the balanced accuracy of the test split, by the model that the validation selects.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import farkeras

RECIPES = {
    "everything, 1e-3": {"frozen_epochs": 0, "backbone_lr_multiplier": 1, "learning_rate": 1e-3},
    "everything, 3e-4": {"frozen_epochs": 0, "backbone_lr_multiplier": 1, "learning_rate": 3e-4},
    "backbone at 0.1, 1e-3": {"frozen_epochs": 0, "backbone_lr_multiplier": 0.1, "learning_rate": 1e-3},
    "frozen for 1, then backbone at 0.5, 1e-3": {
        "frozen_epochs": 1,
        "backbone_lr_multiplier": 0.5,
        "learning_rate": 1e-3,
    },
    "frozen for 1, then everything, 1e-3": {"frozen_epochs": 1, "backbone_lr_multiplier": 1, "learning_rate": 1e-3},
    "frozen for 3, then everything, 1e-3": {"frozen_epochs": 3, "backbone_lr_multiplier": 1, "learning_rate": 1e-3},
    "frozen for 3, then backbone at 0.3, 1e-3": {
        "frozen_epochs": 3,
        "backbone_lr_multiplier": 0.3,
        "learning_rate": 1e-3,
    },
    "frozen for 3, then backbone at 0.1, 1e-3": {
        "frozen_epochs": 3,
        "backbone_lr_multiplier": 0.1,
        "learning_rate": 1e-3,
    },
    "frozen throughout, 1e-3": {"frozen_epochs": 3, "backbone_lr_multiplier": 0, "learning_rate": 1e-3},
    "random weights, 1e-3": {
        "frozen_epochs": 0,
        "backbone_lr_multiplier": 1,
        "learning_rate": 1e-3,
        "backbone_weights": "none",
    },
}


def write_table(faces: Path, path: Path) -> None:
    """Writes a table of the first 1,250 faces, with their labels and splits."""
    _, names, *rows = (faces / "list_attr_celeba.txt").read_text().splitlines()
    lines = [",".join(["image", "split", *names.split()])]
    for number, row in enumerate(rows[:1250]):
        image, *labels = row.split()
        split = "train" if number < 500 else "validation" if number < 750 else "test"
        lines.append(",".join([str((faces / "img_align_celeba" / image).absolute()), split, *labels]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faces", type=Path, help="folder of the procedural faces")
    parser.add_argument("workdir", type=Path, help="folder of the runs; a second call continues them")
    parser.add_argument("--backbone", default="MobileNetV2", help="name of the backbone")
    parser.add_argument("--weights", default="imagenet", help="its weights: imagenet or a file")
    parser.add_argument("--epochs", type=float, default=12, help="epochs, those of the frozen backbone included")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    options = parser.parse_args()
    table = options.workdir / "faces.csv"
    write_table(options.faces, table)
    scores: dict[str, list[float]] = {name: [] for name in options.recipes}
    for seed in options.seeds:
        for name in options.recipes:
            settings = {"backbone": options.backbone, "backbone_weights": options.weights, **RECIPES[name]}
            settings |= {"data_dir": str(table), "image_size": (96, 80), "seed": seed}
            settings |= {"patience": 0, "epochs": options.epochs - settings["frozen_epochs"], "eval_every_epochs": 3}
            run, began = options.workdir / f"{name} {seed}".replace(" ", "_"), time.perf_counter()
            farkeras.train_and_evaluate(farkeras.load_config("own_small", **settings), run)
            scores[name].append(100 * farkeras.evaluate_run(run).evaluation["mean_balanced_accuracy"])
            print(f"{name}, seed {seed}: {scores[name][-1]:.1f}, {time.perf_counter() - began:.0f} s", flush=True)
    print("| Recipe | Balanced accuracy, mean | Seeds |\n|---|---:|---|")
    for name, values in scores.items():
        print(f"| {name} | {np.mean(values):.1f} | {', '.join(f'{value:.1f}' for value in values)} |")


if __name__ == "__main__":
    main()
