"""What the throughput command measures: the bare loop, each change alone, the whole, on real files."""

import numpy as np

from farkeras.data.augmentation import Augmentation
from farkeras.data.keypoints import load_keypoints
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.sources.opening import open_source
from farkeras.data.throughput import BARE, FINISHED, MASKS, PLAIN, POINTS, WHOLE, measure_throughput


def test_the_pipeline_beside_the_bare_loop(annotated_dir):
    examples = open_source("celeba", str(annotated_dir)).split("validation")
    keypoints = load_keypoints(annotated_dir, examples.paths)
    rates = measure_throughput(
        examples, Preprocessing((32, 24)), Augmentation(contrast=0.2), keypoints, (16, 12), num_images=33, rounds=2
    )
    assert list(rates) == [BARE, PLAIN, "+ flip", "+ contrast", WHOLE, FINISHED, POINTS, MASKS]
    assert all(len(values) == 2 and np.isfinite(values).all() for values in rates.values())


def test_without_masks_and_without_changes(annotated_dir):
    examples = open_source("celeba", str(annotated_dir)).split("validation")
    rates = measure_throughput(examples, Preprocessing((32, 24)), Augmentation(flip=False), num_images=1, rounds=1)
    assert list(rates) == [BARE, PLAIN, WHOLE]
