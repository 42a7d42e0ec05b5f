"""The shares of all workers are the batches of one machine, also where images are undecodable."""

import shutil

import numpy as np
import pytest

from farkeras.data.augmentation import Augmentation
from farkeras.data.pipeline import find_undecodable, training_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.shares import Share
from farkeras.data.sources.opening import open_source


@pytest.fixture(scope="module")
def examples(faces_dir, tmp_path_factory):
    """Training examples, of which one cannot be decoded."""
    folder = tmp_path_factory.mktemp("damaged") / "faces"
    shutil.copytree(faces_dir, folder)
    (folder / "img_align_celeba/000009.jpg").write_bytes(b"no image")
    return open_source("celeba", str(folder)).split("train")


def batches(examples, start=0, share=None):
    augmentation = Augmentation(True, 0.2, 0.2, 30, 0.3, 0.3, 0.3)
    arguments = (examples, Preprocessing((16, 12)), augmentation, 8, 3, start, 400)
    return list(training_dataset(*arguments, share=share).as_numpy_iterator())


@pytest.mark.parametrize("replicas", [2, 4])
def test_shares(examples, replicas):
    (damaged,) = find_undecodable(examples, Preprocessing((16, 12)))
    undecodable = np.flatnonzero(examples.paths == damaged)
    one = batches(examples, start=24)
    shown = np.concatenate([batch["counter"] for batch in one])
    assert len(np.setdiff1d(np.arange(24, 392), shown)) >= 1, "an image was left out"
    workers = [batches(examples, 24, Share(number, 2, replicas, undecodable)) for number in range(2)]
    local = replicas // 2  # a worker's batches of one step, one for each of its replicas
    for step, batch in enumerate(one):
        parts = [part for worker in workers for part in worker[step * local : (step + 1) * local]]
        for name, value in batch.items():
            np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), value, err_msg=name)
