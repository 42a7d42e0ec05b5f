"""Measures a mask network on faces with keypoints: `python benchmarks/mask_iou.py FILE FACES ...`.

FILE is a value of the setting `mask_weights`. FACES are folders in the layout of CelebA. All images of a folder
count, so draw faces that the network has not seen:

    python -m farkeras.synthesize --num_images=600 --seed=2 --style=held_out --output=FACES
    python -m farkeras.annotate --data_dir=FACES
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

import farkeras
from farkeras.data.keypoints import load_keypoints
from farkeras.data.preprocessing import Preprocessing
from farkeras.models import load_mask_weights
from farkeras.training.mask_training import evaluate_mask_network, mask_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", help="workdir or .keras file with a mask network, or shipped")
    parser.add_argument("faces", nargs="+", type=Path, help="folders of faces with keypoints")
    parser.add_argument("--flagfile", default="masks_procedural", help="settings of the network and its input")
    parser.add_argument("--image_size", default="", help="height,width of the input instead of the flagfile's")
    parser.add_argument("--mask_stride", type=int, help="stride of the masks instead of the flagfile's")
    options = parser.parse_args()
    config = farkeras.load_config(options.flagfile)
    if options.mask_stride:
        config = dataclasses.replace(config, mask_stride=options.mask_stride)
    if options.image_size:
        height, width = map(int, options.image_size.split(","))
        config = dataclasses.replace(config, image_size=(height, width))
    model = mask_model(config)
    load_mask_weights(model.get_layer("aml"), options.weights)
    for faces in options.faces:
        splits = list(farkeras.filled_splits(farkeras.open_source("celeba", str(faces))).values())
        examples = dataclasses.replace(splits[0], paths=np.concatenate([split.paths for split in splits]))
        examples = dataclasses.replace(examples, labels=np.concatenate([split.labels for split in splits]))
        keypoints = load_keypoints(str(faces), examples.paths)
        metrics = evaluate_mask_network(model, examples, keypoints, Preprocessing(config.image_size, config.crop))
        regions = ", ".join(f"{region} {100 * iou:.1f}" for region, iou in metrics["mask_iou"].items())
        print(f"{faces}: {100 * metrics['mean_mask_iou']:.2f} % on {metrics['mask_images']} faces ({regions})")


if __name__ == "__main__":
    main()
