"""Decoded images in memory give the batches that the files give."""

import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from farkeras.data import reading
from farkeras.data.augmentation import Augmentation
from farkeras.data.examples import Examples
from farkeras.data.pipeline import evaluation_dataset, find_undecodable, training_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.reading import image_decoder, in_memory
from farkeras.errors import FarkerasError
from farkeras.training.building import open_data
from tests.training.small_run import small_config

PREPROCESSING = Preprocessing((8, 8))
COUNT, BAD = 7, 4


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> Examples:
    """Images of different sizes, JPEG and PNG, and one file that is no image."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    paths = [folder / f"{i}.{'png' if i % 2 else 'jpg'}" for i in range(COUNT)]
    for i, path in enumerate(paths):
        Image.fromarray(rng.integers(0, 256, (10 + i, 9 + 2 * i, 3), np.uint8)).save(path)
    paths[BAD].write_bytes(b"no image")
    labels = rng.integers(0, 2, (COUNT, 3)).astype(np.int8)
    return Examples(("a", "b", "c"), np.array([str(path) for path in paths]), labels)


@pytest.fixture(scope="module")
def kept(examples) -> Examples:
    return in_memory(examples)


def test_the_pixels_are_those_of_the_files(examples, kept):
    from_file, from_memory = image_decoder(examples), image_decoder(kept)
    for row in set(range(COUNT)) - {BAD}:
        np.testing.assert_array_equal(from_memory(tf.constant(row)), from_file(tf.constant(row)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="an undecodable image"):
        from_memory(tf.constant(BAD))


def test_the_batches_are_those_of_the_files(examples, kept):
    augmentation = Augmentation(shift=0.2, scale=0.2, rotation=10.0, contrast=0.2)
    for finished in (True, False):
        settings = (PREPROCESSING, augmentation, 2, 3, 0, 3 * COUNT)
        expected, found = (
            list(training_dataset(each, *settings, finished=finished).as_numpy_iterator()) for each in (examples, kept)
        )
        assert len(expected) == len(found) == 9  # the undecodable image is left out three times
        for one, other in zip(expected, found, strict=True):
            assert one.keys() == other.keys()
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])
    expected, found = (
        list(evaluation_dataset(each, PREPROCESSING, 4).as_numpy_iterator()) for each in (examples, kept)
    )
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
        np.testing.assert_array_equal(one["example"], other["example"])
    assert find_undecodable(kept, PREPROCESSING) == [str(examples.paths[BAD])]


def test_a_selection_shares_the_memory(examples, kept):
    few = kept.take(np.array([5, 1]))
    assert few.decoded.pixels is kept.decoded.pixels
    np.testing.assert_array_equal(image_decoder(few)(tf.constant(0)), image_decoder(examples)(tf.constant(5)))


def test_tensorflow_makes_no_copy(kept):
    pixels = kept.decoded.pixels
    assert pixels.ctypes.data % 64 == 0
    assert np.shares_memory(np.asarray(reading._in_place(pixels)), pixels)


def test_the_setting_keeps_both_splits(faces_dir):
    kept, plain = (open_data(small_config(faces_dir, cache_images=on)) for on in (True, False))
    for split in ("train", "validation"):
        assert len(getattr(kept, split).decoded.begin) == len(getattr(plain, split))
        assert getattr(plain, split).decoded is None


def test_too_little_memory_in_the_machine(examples, monkeypatch):
    largest_first = examples.take(np.array([6, 5, 3, 2, 1, 0]))  # 1,008 bytes of pixels, and 3,549 in all
    message = re.escape(
        "The 6 decoded images need about 0.0 GB, and this machine has 0.0 GB of memory. Leave out `cache_images`."
    )
    memory = {"SC_PAGE_SIZE": 1000, "SC_PHYS_PAGES": 5}
    monkeypatch.setattr(reading.os, "sysconf", memory.__getitem__)
    assert len(in_memory(largest_first).decoded.begin) == 6
    monkeypatch.setattr(reading, "_SAMPLE", 1)  # six images like the first one
    with pytest.raises(FarkerasError, match=message):
        in_memory(largest_first)
    monkeypatch.setattr(reading, "_SAMPLE", 100)
    memory["SC_PHYS_PAGES"] = 3
    with pytest.raises(FarkerasError, match=message):
        in_memory(largest_first)


def test_too_little_memory_in_the_container(examples, tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(reading, "_CONTAINER_LIMITS", (str(limit), str(tmp_path / "absent")))
    for text in ("max\n", "100000\n"):
        limit.write_text(text)
        in_memory(examples)
    limit.write_text("500\n")
    with pytest.raises(FarkerasError, match=r"^The 7 decoded images need about 0\.0 GB, and this machine has 0\.0 GB"):
        in_memory(examples)


def test_other_machines_decode_their_own(faces_dir):
    message = r"^With `data_service`, other machines decode the images\. Leave out `cache_images`\.$"
    with pytest.raises(FarkerasError, match=message):
        open_data(small_config(faces_dir, cache_images=True, data_service=("grpc://machine:5050",)))


def test_no_image_can_be_decoded(examples):
    kept = in_memory(examples.take(np.array([BAD, BAD])))
    assert kept.decoded.pixels.size == 0
    assert find_undecodable(kept, PREPROCESSING) == [examples.paths[BAD]] * 2
